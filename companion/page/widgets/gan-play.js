/* The game of the figure "gan": what to imitate, the losses, the alternating steps, the counts.
 *
 * Load widget.js and gan-mlp.js first. Nothing here knows the page.
 */
(() => {
  "use strict";

  const { ganMlp: { adam, mlp }, normals, uniforms } = window.CompanionWidgets;

  const BATCH = 64;
  const HIDDEN = 32;
  const CODES = 2;
  const STD = 0.05;
  const CLIP = 0.1;
  const N_JUDGED = 1000;
  const FILLED = 0.2; // of the fair share

  /* ---- what to imitate ------------------------------------------------------------------------- */

  const range = (n) => Array.from({ length: n }, (_, i) => i);
  const onCircle = (angle) => [Math.cos(angle), Math.sin(angle)];
  const RING = range(8).map((k) => onCircle((k * Math.PI) / 4));
  const GRID = range(25).map((k) => [(Math.floor(k / 5) - 2) / 2, ((k % 5) - 2) / 2]);

  /** A point of one of the two moons, around the origin; `t` goes along it from 0 to 1. */
  function onMoon(which, t) {
    const [cos, sin] = onCircle(Math.PI * t);
    return which === 0 ? [cos - 0.5, sin - 0.25] : [0.5 - cos, 0.25 - sin];
  }

  /** Each moon counts as eight stretches, each with a row of places along it. */
  const PER_STRETCH = 16;
  const STRETCHES = range(16).flatMap((k) => range(PER_STRETCH).map((i) =>
    onMoon(Math.floor(k / 8), ((k % 8) + (i + 0.5) / PER_STRETCH) / 8)));

  const pick = (centers) => (uniform) => centers[Math.floor(uniform() * centers.length)];

  const TARGETS = {
    ring: { centers: RING, perMode: 1, place: pick(RING), parts: "modes" },
    grid: { centers: GRID, perMode: 1, place: pick(GRID), parts: "modes" },
    moons: { centers: STRETCHES, perMode: PER_STRETCH, parts: "stretches",
      place: (uniform) => onMoon(Math.floor(2 * uniform()), uniform()) },
  };
  const modesOf = ({ centers, perMode }) => centers.length / perMode;

  /** How many modes `points` reach, and the share of them within 3 standard deviations of one. */
  function judge(points, { centers, perMode }) {
    const counts = new Float64Array(centers.length / perMode);
    const total = points.length / 2;
    for (let p = 0; p < points.length; p += 2) {
      let [best, at] = [Infinity, -1];
      centers.forEach(([a, b], k) => {
        const away = (points[p] - a) ** 2 + (points[p + 1] - b) ** 2;
        if (away < best) [best, at] = [away, k];
      });
      if (best <= (3 * STD) ** 2) counts[Math.floor(at / perMode)] += 1;
    }
    return {
      found: counts.filter((count) => count > 0).length,
      filled: counts.filter((count) => count >= (FILLED * total) / counts.length).length,
      quality: counts.reduce((sum, count) => sum + count, 0) / total,
    };
  }

  /* ---- the losses: value and slope for one score, r of data and f of generated points --------- */

  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));

  const LOGISTIC = {
    real: (r) => [softplus(-r), -sigmoid(-r)],
    fake: (f) => [softplus(f), sigmoid(f)],
  };
  const MINUS = (f) => [-f, -1];

  const LOSSES = {
    minimax: { ...LOGISTIC, generator: (f) => [-softplus(f), -sigmoid(f)] },
    "non-saturating": { ...LOGISTIC, generator: (f) => [softplus(-f), -sigmoid(-f)] },
    wasserstein: { real: MINUS, fake: (f) => [f, 1], generator: MINUS, clip: CLIP },
    hinge: {
      real: (r) => [Math.max(1 - r, 0), r < 1 ? -1 : 0],
      fake: (f) => [Math.max(1 + f, 0), f > -1 ? 1 : 0],
      generator: MINUS,
    },
  };

  /** The mean loss of the scores from `from` to `to`; their slopes go into `grad`. */
  function meanLoss(loss, scores, grad, from, to) {
    let sum = 0;
    for (let i = from; i < to; i += 1) {
      const [value, slope] = loss(scores[i]);
      sum += value;
      grad[i] = slope / (to - from);
    }
    return sum / (to - from);
  }

  const slopes = new Float64Array(2 * BATCH);
  const both = new Float64Array(4 * BATCH);

  /** The loss of the discriminator, whose gradients grow; at most 64 points of each kind. */
  function discriminatorLoss(discriminator, { real, fake }, data, generated) {
    const n = data.length / 2;
    both.set(data);
    both.set(generated, data.length);
    const scores = discriminator.forward(both, 2 * n);
    const value = meanLoss(real, scores, slopes, 0, n) + meanLoss(fake, scores, slopes, n, 2 * n);
    discriminator.backward(slopes, 2 * n);
    return value;
  }

  /** The loss of the generator, whose gradients grow, and only they. */
  function generatorLoss({ generator, discriminator }, loss, codes) {
    const n = codes.length / CODES;
    const scores = discriminator.forward(generator.forward(codes, n), n);
    const value = meanLoss(loss.generator, scores, slopes, 0, n);
    generator.backward(discriminator.backward(slopes, n, false), n);
    return value;
  }

  function clip(parameters, bound) {
    parameters.forEach((value, i) => {
      parameters[i] = Math.min(Math.max(value, -bound), bound);
    });
  }

  /* ---- the game ------------------------------------------------------------------------------- */

  const networks = () => ({
    generator: mlp([CODES, HIDDEN, HIDDEN, 2], 0, N_JUDGED),
    discriminator: mlp([2, HIDDEN, HIDDEN, 1], 0.2, 2 * BATCH),
  });

  const drawPoints = (target, n, uniform, normal) => Float64Array.from(range(n).flatMap(() =>
    target.place(uniform).map((value) => value + STD * normal())));

  /** A game at its start. `step(options)` plays one round, and may have other options each time:
   * {loss, dSteps, gRate, dRate, beta1}.
   */
  function game({ target: name, seed }) {
    const target = TARGETS[name];
    const uniform = uniforms(seed * 7919 + 1);
    const normal = normals(uniform);
    const { generator, discriminator } = networks();
    generator.initialize(uniform);
    discriminator.initialize(uniform);
    const [gAdam, dAdam] = [adam(generator), adam(discriminator)];
    const noise = (n) => new Float64Array(n * CODES).map(normal);
    const judged = noise(N_JUDGED); // the same codes at every count
    let steps = 0;

    function stepDiscriminator({ loss, dRate, beta1 }) {
      const data = drawPoints(target, BATCH, uniform, normal);
      const fake = generator.forward(noise(BATCH), BATCH);
      const value = discriminatorLoss(discriminator, LOSSES[loss], data, fake);
      dAdam.step(dRate, beta1);
      if (LOSSES[loss].clip) clip(discriminator.parameters, LOSSES[loss].clip);
      return value;
    }

    function step(options) {
      let dLoss = 0;
      for (let k = 0; k < options.dSteps; k += 1) dLoss = stepDiscriminator(options);
      const gLoss = generatorLoss({ generator, discriminator }, LOSSES[options.loss],
        noise(BATCH));
      gAdam.step(options.gRate, options.beta1);
      steps += 1;
      return { gLoss, dLoss };
    }

    const samples = (n = N_JUDGED) => generator.forward(judged.subarray(0, n * CODES), n).slice();
    /** The scores of the discriminator at points, two numbers each. */
    function scores(points) {
      const out = new Float64Array(points.length / 2);
      for (let from = 0; from < out.length; from += 2 * BATCH) {
        const n = Math.min(2 * BATCH, out.length - from);
        out.set(discriminator.forward(points.subarray(2 * from, 2 * (from + n)), n), from);
      }
      return out;
    }
    return { target, step, samples, scores, count: () => judge(samples(), target),
      steps: () => steps, data: drawPoints(target, 400, uniform, normal) };
  }

  window.CompanionWidgets.ganPlay = { CLIP, LOSSES, TARGETS, discriminatorLoss, game,
    generatorLoss, judge, modesOf, networks };
})();
