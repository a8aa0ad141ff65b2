/* Numbers that companion/page/_export.py wrote, and the multilayer perceptron among them.
 *
 * Load widget.js first. The numbers of a figure are in `CompanionExports[name]`.
 */
(() => {
  "use strict";

  const ACTIVATIONS = {
    relu: (value) => Math.max(value, 0),
    tanh: Math.tanh,
  };

  function bytes(base64) {
    const text = atob(base64);
    const view = new DataView(new ArrayBuffer(text.length));
    for (let i = 0; i < text.length; i += 1) view.setUint8(i, text.charCodeAt(i));
    return view;
  }

  /** Read `count` float16 numbers; each of them is exact in float32. */
  function halves(view, offset, count) {
    const bits = new Uint32Array(count);
    for (let i = 0; i < count; i += 1) {
      const half = view.getUint16(offset + 2 * i, true);
      bits[i] = ((half & 0x8000) << 16) | ((half & 0x7fff) << 13);
    }
    // The exponents now count from 127 and not from 15, also where the number is subnormal.
    return new Float32Array(bits.buffer).map((value) => value * 2 ** 112);
  }

  const count = (shape) => shape.reduce((a, b) => a * b, 1);

  /** Read whole numbers from -127 to 127, each times the scale of its row; the scales come first. */
  function scaled(view, offset, shape) {
    const scales = halves(view, offset, shape[0]);
    const whole = new Int8Array(view.buffer, offset + 2 * shape[0], count(shape));
    const columns = whole.length / shape[0];
    return Float32Array.from(whole, (value, i) => value * scales[Math.floor(i / columns)]);
  }

  /** For each dtype of an array: how many bytes it takes, and how to read it. */
  const FORMS = {
    float16: {
      size: (shape) => 2 * count(shape),
      read: (view, offset, shape) => halves(view, offset, count(shape)),
    },
    uint8: {
      size: count,
      read: ({ buffer }, offset, shape) =>
        Float32Array.from(new Uint8Array(buffer, offset, count(shape))),
    },
    int8: { size: (shape) => 2 * shape[0] + count(shape), read: scaled },
  };

  /** All arrays of an export by name, as flat Float32Arrays, row by row. */
  function unpack({ manifest, base64 }) {
    const view = bytes(base64);
    const form = ({ dtype }) => FORMS[dtype ?? manifest.dtype];
    const sizes = manifest.arrays.map((array) => form(array).size(array.shape));
    const total = sizes.reduce((a, b) => a + b, 0);
    if (view.byteLength !== total) {
      const found = view.byteLength;
      throw new RangeError(`The export ${manifest.name} has ${found} bytes, not ${total}.`);
    }
    const arrays = {};
    let offset = 0;
    manifest.arrays.forEach((array, i) => {
      arrays[array.name] = form(array).read(view, offset, array.shape);
      offset += sizes[i];
    });
    return arrays;
  }

  function linear(weight, bias, input) {
    const output = new Float32Array(weight.length / input.length);
    for (let row = 0, at = 0; row < output.length; row += 1) {
      let sum = bias ? bias[row] : 0;
      for (let i = 0; i < input.length; i += 1, at += 1) sum += weight[at] * input[i];
      output[row] = sum;
    }
    return output;
  }

  /** The perceptron of an export: maps `input_dim` numbers to the outputs, a Float32Array. */
  function mlp({ n_layers: count, activation, input_dim: size }, arrays) {
    return (input) => {
      if (input.length !== size) {
        throw new RangeError(`${size} inputs expected, got ${input.length}.`);
      }
      let values = Float32Array.from(input);
      for (let i = 0; i < count; i += 1) {
        if (i > 0) values = values.map(ACTIVATIONS[activation]);
        values = linear(arrays[`layers.${i}.weight`], arrays[`layers.${i}.bias`], values);
      }
      return values;
    };
  }

  /** The export called `name`: its manifest, its arrays and its perceptron. */
  function load(name) {
    const found = window.CompanionExports?.[name];
    if (!found) throw new Error(`The numbers "${name}" of a figure are missing.`);
    const arrays = unpack(found);
    return { manifest: found.manifest, arrays, run: mlp(found.manifest, arrays) };
  }

  window.CompanionWidgets.network = { load, unpack };
})();
