/* The networks of the figure "attack", their gradients, and the attack itself.
 *
 * Everything is computed in double precision, so that signs of small gradients are those of torch
 * in float64. Functions with a star yield after each step: the page works in short slices.
 */
(() => {
  "use strict";

  const { network } = window.CompanionWidgets;

  const SIDE = 28;
  const NAMES = { natural: "natural_mlp", robust: "robust_mlp" };
  // Radii are whole multiples of 1 / parts, up to `most` of them.
  const NORMS = {
    linf: { parts: 1000, most: 300, digits: 3 },
    l2: { parts: 100, most: 300, digits: 2 },
  };
  const FIRST = 10; // multiples: where the search for the smallest radius begins

  /* ---- the perceptron ------------------------------------------------------------------------ */

  function affine({ weight, bias, output }, input) {
    const size = input.length;
    for (let row = 0, at = 0; row < output.length; row += 1, at += size) {
      let [even, odd, i] = [bias[row], 0, 0]; // two sums that need not wait for each other
      for (; i + 1 < size; i += 2) {
        even += weight[at + i] * input[i];
        odd += weight[at + i + 1] * input[i + 1];
      }
      if (i < size) even += weight[at + i] * input[i];
      output[row] = even + odd;
    }
    return output;
  }

  /** The transposed weights times delta; rows that count for nothing are left out. */
  function transposed({ weight, output }, delta, result) {
    const size = result.fill(0).length;
    for (let row = 0; row < output.length; row += 1) {
      const factor = delta[row];
      if (factor === 0) continue;
      for (let i = 0, at = row * size; i < size; i += 1, at += 1) {
        result[i] += factor * weight[at];
      }
    }
    return result;
  }

  function softmax(logits) {
    const most = Math.max(...logits);
    const weights = logits.map((logit) => Math.exp(logit - most));
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => weight / sum);
  }

  const argmax = (values) => values.indexOf(Math.max(...values));

  function classifier(name) {
    const { manifest, arrays } = network.load(name);
    const layers = Array.from({ length: manifest.n_layers }, (_, i) => {
      const bias = arrays[`layers.${i}.bias`];
      const weight = arrays[`layers.${i}.weight`];
      const inputs = new Float64Array(weight.length / bias.length);
      return { weight, bias, output: new Float64Array(bias.length), inputs };
    });

    function logits(picture) {
      let values = picture;
      layers.forEach((layer, i) => {
        if (i > 0) values = layer.inputs.map((_, unit) => Math.max(layers[i - 1].output[unit], 0));
        affine(layer, values);
      });
      return layers.at(-1).output;
    }

    /** The gradient of the cross-entropy with respect to the pixels; the next call reuses it. */
    function gradient(picture, label) {
      let delta = softmax(logits(picture));
      delta[label] = 0;
      delta[label] = -delta.reduce((a, b) => a + b, 0); // p - 1, exact also where p is almost 1
      for (let i = layers.length - 1; i >= 0; i -= 1) {
        const back = transposed(layers[i], delta, layers[i].inputs);
        if (i === 0) return back;
        delta = back.map((value, unit) => (layers[i - 1].output[unit] > 0 ? value : 0));
      }
      return delta;
    }

    const probabilities = (picture) => softmax(logits(picture));
    const reads = (picture) => argmax(logits(picture));
    return { arrays, manifest, gradient, probabilities, reads };
  }

  /* ---- the attack ---------------------------------------------------------------------------- */

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const length = (change) => Math.sqrt(change.reduce((sum, each) => sum + each * each, 0));
  const minus = (a, b) => a.map((value, i) => value - b[i]);

  /** One step of steepest ascent, and back into the ball and into [0, 1]. */
  const STEP = {
    linf: (x, picture, gradient, size, eps) => picture.map((value, i) =>
      clamp(clamp(value + size * Math.sign(gradient[i]), x[i] - eps, x[i] + eps), 0, 1)),
    l2: (x, picture, gradient, size, eps) => {
      const factor = size / (length(gradient) || 1);
      const change = picture.map((value, i) => value + factor * gradient[i] - x[i]);
      const shorter = Math.min(1, eps / (length(change) || 1));
      return change.map((value, i) => clamp(x[i] + shorter * value, 0, 1));
    },
  };

  /** Projected gradient descent that starts at x, as companion.attacks.pgd; one step is FGSM. */
  function* attack(net, x, label, { norm, eps, steps }) {
    const size = 2.5 * eps / steps;
    let picture = Float64Array.from(x);
    for (let t = 0; t < steps; t += 1) {
      picture = STEP[norm](x, picture, net.gradient(picture, label), size, eps);
      yield;
    }
    return picture;
  }

  /** The smallest radius at which bisection sees the attack succeed; null if none up to the top.
   *
   * There the network errs, so its distance to a mistake is at most that. It may be less: a better
   * attack might succeed earlier, and more eps need not help a weak one.
   */
  function* smallest(net, x, label, { norm, steps }) {
    if (net.reads(x) !== label) return 0;
    const { parts, most } = NORMS[norm];
    function* fooled(multiple) {
      const eps = multiple / parts;
      return net.reads(yield* attack(net, x, label, { norm, eps, steps })) !== label;
    }
    let [low, high] = [0, FIRST];
    while (!(yield* fooled(high))) {
      if (high === most) return null;
      [low, high] = [high, Math.min(2 * high, most)];
    }
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (yield* fooled(middle)) high = middle;
      else low = middle;
    }
    return high / parts;
  }

  /** Run a generator to its end, and return its result. */
  function finish(steps) {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
    }
  }

  /* ---- what the page starts from ------------------------------------------------------------- */

  /** A picture with values from 0 to 1, from bytes without the black border. */
  function framed(bytes) {
    const inner = Math.sqrt(bytes.length);
    const border = (SIDE - inner) / 2;
    const picture = new Float64Array(SIDE ** 2);
    bytes.forEach((byte, i) => {
      const row = Math.floor(i / inner) + border;
      picture[row * SIDE + (i % inner) + border] = byte / 255;
    });
    return picture;
  }

  function load() {
    const nets = Object.fromEntries(Object.entries(NAMES).map(([key, name]) =>
      [key, classifier(name)]));
    const { digits, labels } = nets.natural.arrays;
    const size = digits.length / labels.length;
    const pictures = Array.from(labels, (label, i) =>
      ({ label, x: framed(digits.subarray(i * size, (i + 1) * size)) }));
    return { nets, pictures };
  }

  let loaded = null;
  const model = () => (loaded ??= load());

  window.CompanionWidgets.attackModel = {
    NORMS, argmax, attack, finish, length, minus, model, smallest,
  };
})();
