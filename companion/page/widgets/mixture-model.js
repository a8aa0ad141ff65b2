/* The mathematics of the figure "mixture": Gaussians in the plane, EM, codes and samples.
 *
 * A component is {weight, mean: [a, b], cov: [aa, ab, bb]}, a mixture an array of components.
 */
(() => {
  "use strict";

  const { normals, uniforms } = window.CompanionWidgets;

  const FLOOR = 0.05 ** 2; // no variance in any direction may fall below this one
  const N = 300;
  const LOG_2PI = Math.log(2 * Math.PI);

  const determinant = ([aa, ab, bb]) => aa * bb - ab * ab;
  const circle = (weight, mean, sd) => ({ weight, mean, cov: [sd * sd, 0, sd * sd] });
  const STANDARD = [circle(1, [0, 0], 1)];

  /* ---- densities ----------------------------------------------------------------------------- */

  /** z -> log w + log N(z; mean, cov), with all that does not depend on z done once. */
  function logJointOf({ weight, mean: [ma, mb], cov }) {
    const [aa, ab, bb] = cov;
    const det = determinant(cov);
    if (!(det > 0 && aa > 0)) throw new RangeError(`No covariance matrix: ${cov}.`);
    const log = Math.log(weight) - LOG_2PI - 0.5 * Math.log(det);
    return ([a, b]) => {
      const [da, db] = [a - ma, b - mb];
      return log - (0.5 * (bb * da * da - 2 * ab * da * db + aa * db * db)) / det;
    };
  }

  /** z -> log p(z): a sum over components of joint densities, kept from overflow. */
  function logDensity(mixture) {
    const terms = mixture.map(logJointOf);
    return (z) => {
      let [top, sum] = [-Infinity, 0];
      for (const term of terms) {
        const log = term(z);
        if (log > top) {
          sum = sum * Math.exp(top - log) + 1;
          top = log;
        } else if (log > -Infinity) sum += Math.exp(log - top);
      }
      return top + Math.log(sum);
    };
  }

  function meanLogLikelihood(mixture, codes) {
    const log = logDensity(mixture);
    return codes.reduce((sum, z) => sum + log(z), 0) / codes.length;
  }

  /* ---- changes: each returns a new mixture or a new component -------------------------------- */

  /** The nearest covariance whose variances are at least FLOOR: its eigenvalues are clipped. */
  function clip([aa, ab, bb]) {
    const [middle, half] = [(aa + bb) / 2, Math.hypot((aa - bb) / 2, ab)];
    if (middle - half >= FLOOR) return [aa, ab, bb];
    const [high, low] = [Math.max(middle + half, FLOOR), FLOOR];
    const [cos, sin] = half > 0 ? [(aa - bb) / 2 / half, ab / half] : [1, 0]; // of twice the angle
    const [mean, spread] = [(high + low) / 2, (high - low) / 2];
    return [mean + spread * cos, spread * sin, mean - spread * cos];
  }

  /** The standard deviation of the circle with the same area. */
  const widthOf = ({ cov }) => determinant(cov) ** 0.25;

  function widen(component, width) {
    const factor = (width / widthOf(component)) ** 2;
    return { ...component, cov: clip(component.cov.map((entry) => entry * factor)) };
  }

  /** Give component k this weight; the others share the rest as before. */
  function reweight(mixture, k, weight) {
    const rest = mixture.reduce((sum, each, i) => (i === k ? sum : sum + each.weight), 0);
    const share = (old) =>
      rest > 1e-9 ? (old * (1 - weight)) / rest : (1 - weight) / (mixture.length - 1);
    return mixture.map((each, i) => ({ ...each, weight: i === k ? weight : share(each.weight) }));
  }

  /** Mean and covariance of the codes under these responsibilities. */
  function moments(codes, shares, total) {
    const average = (value) =>
      codes.reduce((sum, z, i) => sum + shares[i] * value(z), 0) / total;
    const [ma, mb] = [average(([a]) => a), average(([, b]) => b)];
    return { mean: [ma, mb], cov: clip([
      average(([a]) => (a - ma) ** 2),
      average(([a, b]) => (a - ma) * (b - mb)),
      average(([, b]) => (b - mb) ** 2),
    ]) };
  }

  /** One EM step with full covariances. A component without codes keeps its place and shape.
   *
   * Clipping solves the M-step among covariances above the floor: the log-likelihood cannot fall.
   */
  function emStep(mixture, codes) {
    const terms = mixture.map(logJointOf);
    const log = logDensity(mixture);
    const totals = codes.map(log);
    return mixture.map((component, k) => {
      const shares = codes.map((z, i) => Math.exp(terms[k](z) - totals[i]));
      const total = shares.reduce((sum, share) => sum + share, 0);
      const weight = total / codes.length;
      return total > 1e-6 ? { weight, ...moments(codes, shares, total) } : { ...component, weight };
    });
  }

  /** The mixture with `count` components: new ones come from `spare` with a fair weight. */
  function resize(mixture, count, spare) {
    const kept = mixture.slice(0, count);
    const total = kept.reduce((sum, { weight }) => sum + weight, 0);
    const room = (mixture.length < count ? mixture.length / count : 1) / total;
    return [...kept.map((each) => ({ ...each, weight: each.weight * room })),
      ...spare.slice(kept.length, count).map((each) => ({ ...each, weight: 1 / count }))];
  }

  /* ---- points -------------------------------------------------------------------------------- */

  /** Samples; the same noise whatever the mixture, so that they move with it. */
  function sample(mixture, n = N) {
    const uniform = uniforms(4);
    const normal = normals(uniforms(40));
    return Array.from({ length: n }, () => {
      let [rest, k] = [uniform(), 0];
      while (k < mixture.length - 1 && rest >= mixture[k].weight) rest -= mixture[k++].weight;
      const { mean: [ma, mb], cov: [aa, ab, bb] } = mixture[k];
      const [one, two, first] = [normal(), normal(), Math.sqrt(aa)];
      return [ma + first * one, mb + (ab / first) * one + Math.sqrt(bb - (ab * ab) / aa) * two];
    });
  }

  /** A pinwheel with four arms, scaled to the mean and the covariance of the standard normal. */
  function pinwheel() {
    const normal = normals(uniforms(400));
    const scale = 1 / Math.sqrt(0.5 * (1 + 0.3 ** 2 + 0.1 ** 2));
    return Array.from({ length: N }, (_, i) => {
      const [along, across] = [1 + 0.3 * normal(), 0.1 * normal()];
      const angle = (i % 4) * (Math.PI / 2) + 0.25 * Math.exp(along);
      const [cos, sin] = [scale * Math.cos(angle), scale * Math.sin(angle)];
      return [along * cos - across * sin, along * sin + across * cos];
    });
  }

  /** Every set of codes: digits, where companion.page wrote theirs, and the toy. */
  function codeSets() {
    const digits = window.CompanionExports?.codes_2d?.codes;
    return { ...(digits && { digits }), pinwheel: pinwheel() };
  }

  window.CompanionWidgets.mixtureModel = {
    N, STANDARD, circle, codeSets, emStep, logDensity, meanLogLikelihood, resize, reweight, sample,
    widen, widthOf,
  };
})();
