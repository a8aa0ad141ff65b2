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

  /** All arrays of an export by name, as flat Float32Arrays, row by row. */
  function unpack({ manifest, base64 }) {
    const view = bytes(base64);
    const sizes = manifest.arrays.map(({ shape }) => shape.reduce((a, b) => a * b, 1));
    const total = 2 * sizes.reduce((a, b) => a + b, 0);
    if (view.byteLength !== total) {
      const found = view.byteLength;
      throw new RangeError(`The export ${manifest.name} has ${found} bytes, not ${total}.`);
    }
    const arrays = {};
    let offset = 0;
    manifest.arrays.forEach(({ name }, i) => {
      arrays[name] = halves(view, offset, sizes[i]);
      offset += 2 * sizes[i];
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
