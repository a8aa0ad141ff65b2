/* The networks of the figure "gan": a multilayer perceptron with its gradients by hand, and Adam.
 *
 * Batches are flat Float64Arrays, row by row. Weights are (outputs, inputs), as in torch. Nothing
 * here knows the page: the tests run it in node, against torch.
 */
(() => {
  "use strict";

  /** out = input W^T + b, for `rows` rows; four sums at once, so that none waits for the last. */
  function affine({ weight, bias, inputs, outputs }, input, out, rows) {
    for (let row = 0; row < rows; row += 1) {
      const from = row * inputs;
      const to = row * outputs;
      let o = 0;
      for (; o + 3 < outputs; o += 4) {
        let [a, b, c, d] = [bias[o], bias[o + 1], bias[o + 2], bias[o + 3]];
        for (let i = 0, at = o * inputs; i < inputs; i += 1, at += 1) {
          const value = input[from + i];
          a += weight[at] * value;
          b += weight[at + inputs] * value;
          c += weight[at + 2 * inputs] * value;
          d += weight[at + 3 * inputs] * value;
        }
        out[to + o] = a;
        out[to + o + 1] = b;
        out[to + o + 2] = c;
        out[to + o + 3] = d;
      }
      for (; o < outputs; o += 1) {
        let sum = bias[o];
        for (let i = 0; i < inputs; i += 1) sum += weight[o * inputs + i] * input[from + i];
        out[to + o] = sum;
      }
    }
  }

  /** Add the gradients of weight and bias for the gradient `grad` of the outputs. */
  function addGradients({ gradWeight, gradBias, inputs, outputs }, input, grad, rows) {
    for (let row = 0; row < rows; row += 1) {
      const from = row * inputs;
      for (let o = 0, at = 0; o < outputs; o += 1, at += inputs) {
        const g = grad[row * outputs + o];
        if (g === 0) continue; // a unit that ReLU silenced
        gradBias[o] += g;
        for (let i = 0; i < inputs; i += 1) gradWeight[at + i] += g * input[from + i];
      }
    }
  }

  /** The gradient of the inputs: grad W. */
  function pullBack({ weight, inputs, outputs }, grad, out, rows) {
    out.fill(0, 0, rows * inputs);
    for (let row = 0; row < rows; row += 1) {
      const to = row * inputs;
      for (let o = 0, at = 0; o < outputs; o += 1, at += inputs) {
        const g = grad[row * outputs + o];
        if (g === 0) continue;
        for (let i = 0; i < inputs; i += 1) out[to + i] += g * weight[at + i];
      }
    }
  }

  /** Layers that share one flat array of parameters and one of gradients. */
  function layersOf(sizes, parameters, gradients) {
    let at = 0;
    const take = (array, length) => array.subarray(at, at + length);
    return sizes.slice(1).map((outputs, l) => {
      const inputs = sizes[l];
      const layer = { inputs, outputs };
      Object.assign(layer, { weight: take(parameters, inputs * outputs),
        gradWeight: take(gradients, inputs * outputs) });
      at += inputs * outputs;
      Object.assign(layer, { bias: take(parameters, outputs),
        gradBias: take(gradients, outputs) });
      at += outputs;
      return layer;
    });
  }

  const countOf = (sizes) => sizes.slice(1).reduce((sum, n, l) => sum + n * (sizes[l] + 1), 0);

  /** A perceptron whose hidden units keep `slope` of what is negative: 0 is ReLU. */
  function mlp(sizes, slope, most) {
    const count = countOf(sizes);
    const [parameters, gradients] = [new Float64Array(count), new Float64Array(count)];
    const layers = layersOf(sizes, parameters, gradients);
    const room = () => sizes.map((size) => new Float64Array(size * most));
    const [values, grads] = [room(), room()];

    /** The outputs of `rows` rows: a view that the next call overwrites. */
    function forward(input, rows) {
      values[0].set(input.subarray(0, rows * sizes[0]));
      layers.forEach((layer, l) => {
        const out = values[l + 1];
        affine(layer, values[l], out, rows);
        if (l === layers.length - 1) return;
        const end = rows * layer.outputs;
        for (let i = 0; i < end; i += 1) if (out[i] < 0) out[i] *= slope;
      });
      return values[layers.length].subarray(0, rows * sizes.at(-1));
    }

    /** Go back from the gradient of the outputs of the last `forward`, to that of the inputs.
     *
     * `learn` says whether the parameters' gradients grow: a player holds the other one fixed.
     */
    function backward(grad, rows, learn = true) {
      grads[layers.length].set(grad.subarray(0, rows * sizes.at(-1)));
      for (let l = layers.length - 1; l >= 0; l -= 1) {
        if (learn) addGradients(layers[l], values[l], grads[l + 1], rows);
        pullBack(layers[l], grads[l + 1], grads[l], rows);
        if (l === 0) break;
        const end = rows * sizes[l];
        for (let i = 0; i < end; i += 1) if (values[l][i] <= 0) grads[l][i] *= slope;
      }
      return grads[0].subarray(0, rows * sizes[0]);
    }

    /** Uniform within +-1 / sqrt(inputs), as torch does it. */
    function initialize(uniform) {
      for (const { weight, bias, inputs } of layers) {
        const draw = () => (2 * uniform() - 1) / Math.sqrt(inputs);
        for (const array of [weight, bias]) array.forEach((_, i) => (array[i] = draw()));
      }
    }

    return { parameters, gradients, forward, backward, initialize };
  }

  /** Adam (Kingma and Ba, 2015), with the bias corrections; `step` descends by one step. */
  function adam({ parameters, gradients }, beta2 = 0.999, epsilon = 1e-8) {
    const [mean, square] = [0, 0].map(() => new Float64Array(parameters.length));
    let [left1, left2] = [1, 1]; // what is left of the zeros that the averages began with

    function step(rate, beta1) {
      left1 *= beta1;
      left2 *= beta2;
      const size = rate / (1 - left1);
      const root = Math.sqrt(1 - left2);
      for (let i = 0; i < parameters.length; i += 1) {
        const g = gradients[i];
        mean[i] += (1 - beta1) * (g - mean[i]);
        square[i] = beta2 * square[i] + (1 - beta2) * g * g;
        parameters[i] -= (size * mean[i]) / (Math.sqrt(square[i]) / root + epsilon);
      }
      gradients.fill(0);
    }
    return { step };
  }

  window.CompanionWidgets.ganMlp = { adam, mlp };
})();
