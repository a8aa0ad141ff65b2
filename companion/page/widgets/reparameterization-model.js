/* The mathematics of the figure "reparameterization": integrands, both estimators, exact values.
 *
 * q = N(m, s^2), z = m + s eps. Every gradient is dE[f(z)]/dm.
 */
(() => {
  "use strict";

  const ROOT_2PI = Math.sqrt(2 * Math.PI);
  const bell = (t) => Math.exp(-0.5 * t * t) / ROOT_2PI;

  /** The integral of eps^2 N(eps; 0, 1) from t upward, by Simpson's rule. */
  function upperSecondMoment(t) {
    const [low, high, steps] = [Math.max(t, -9), 9, 800];
    if (low >= high) return 0;
    const h = (high - low) / steps;
    let sum = 0;
    for (let i = 0; i <= steps; i += 1) {
      const eps = low + i * h;
      const weight = i === 0 || i === steps ? 1 : 2 + 2 * (i % 2);
      sum += weight * eps * eps * bell(eps);
    }
    return (sum * h) / 3;
  }

  /** (z - 1)^2 + c: a constant that changes no gradient. */
  const quadratic = (formula, c, levels) => ({
    formula,
    levels,
    range: [c && 0, c + 16],
    value: (z) => (z - 1) ** 2 + c,
    slope: (z) => 2 * (z - 1),
    exact(m, s) {
      const [a2, v] = [(m - 1) ** 2, s * s];
      const square = (a2 + c) ** 2 + 6 * (a2 + c) * v + 12 * a2 * v + 15 * v * v;
      return { gradient: 2 * (m - 1), pathwise: 4 * v, score: square / v - 4 * a2 };
    },
  });

  /** sin(kz): steep, but bounded. */
  const wave = (formula, k) => ({
    formula,
    levels: [-1, 0, 1],
    range: [-1.7, 1.7],
    value: (z) => Math.sin(k * z),
    slope: (z) => k * Math.cos(k * z),
    exact(m, s) {
      const damp = Math.exp(-2 * (k * s) ** 2); // E[cos 2kz] = damp cos 2km
      const gradient = k * Math.cos(k * m) * Math.exp(-0.5 * (k * s) ** 2);
      const turned = damp * Math.cos(2 * k * m);
      return {
        gradient,
        pathwise: 0.5 * k * k * (1 + turned) - gradient ** 2,
        score: (1 - (1 - (2 * k * s) ** 2) * turned) / (2 * s * s) - gradient ** 2,
      };
    },
  });

  /** 1 where z > 1, else 0: the pathwise derivative is 0 wherever it exists. */
  const step = (formula) => ({
    formula,
    levels: [0, 1],
    range: [-0.3, 1.5],
    value: (z) => (z > 1 ? 1 : 0),
    slope: () => 0,
    exact(m, s) {
      const t = (1 - m) / s;
      const gradient = bell(t) / s;
      return { gradient, pathwise: 0, score: upperSecondMoment(t) / (s * s) - gradient ** 2 };
    },
  });

  const INTEGRANDS = {
    square: quadratic("(z − 1)²", 0, [0, 5, 10, 15]),
    shifted: quadratic("(z − 1)² + 10", 10, [0, 10, 20]),
    wave: wave("sin 4z", 4),
    step: step("1 if z > 1, else 0"),
  };

  /** One estimate by each estimator from one noise. */
  function estimate(f, m, s, eps) {
    const z = m + s * eps;
    return { z, value: f.value(z), pathwise: f.slope(z), score: (f.value(z) * eps) / s };
  }

  /** Averages of the first 1, 2, ... estimates, and their standard deviation (n - 1 below). */
  function running(values) {
    const averages = [];
    let [mean, squares] = [0, 0];
    values.forEach((value, i) => {
      const ahead = value - mean;
      mean += ahead / (i + 1);
      squares += ahead * (value - mean);
      averages.push(mean);
    });
    return { averages, sd: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : NaN };
  }

  /** All that the figure shows for one integrand, one q, one sample and the draws so far. */
  function compute(name, m, logV, eps, noise = []) {
    const f = INTEGRANDS[name];
    if (!f) throw new RangeError(`No integrand "${name}": ${Object.keys(INTEGRANDS).join(", ")}.`);
    const s = Math.exp(logV / 2);
    if (!Number.isFinite(logV)) throw new RangeError(`log σ² must be finite, got ${logV}.`);
    const draws = noise.map((each) => estimate(f, m, s, each));
    const { gradient, ...variances } = f.exact(m, s);
    const of = (way) => ({
      exactSd: Math.sqrt(Math.max(variances[way], 0)),
      ...running(draws.map((draw) => draw[way])),
    });
    const sample = estimate(f, m, s, eps);
    return { s, sample, gradient, pathwise: of("pathwise"), score: of("score") };
  }

  window.CompanionWidgets.reparameterizationModel = { INTEGRANDS, compute };
})();
