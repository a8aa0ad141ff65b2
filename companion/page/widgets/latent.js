/* Interactive figure of chapter 3: drag a code over the latent plane and see it decoded.
 *
 * The decoder and the codes come from a pretrained model (tools/assets.py writes them). Load
 * widget.js, network.js, latent-vae_2d.js and latent-plane.js first.
 */
(() => {
  "use strict";

  const {
    animate, announcer, button, define, format, latentPlane: parts, network, normals, onWidth,
    parse, slider, snap, uniforms,
  } = window.CompanionWidgets;

  const MODEL = "vae_2d";
  const { LIMIT } = parts;
  const RANGE = { min: -LIMIT, max: LIMIT, step: 0.05 };
  const FINE = { ...RANGE, step: 0.01 };
  const CENTER = [0, 0];
  const WITHIN = 2; // look for the hole where the prior has most of its mass
  const SIDE = 28;

  /* ---- what the model says ------------------------------------------------------------------- */

  const sigmoid = (logit) => 1 / (1 + Math.exp(-logit));
  const squared = ([a, b]) => a * a + b * b;
  const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

  /** log p(z) of the standard normal prior, in nats. */
  const logPrior = (z) => -Math.log(2 * Math.PI) - squared(z) / 2;

  function nearest(z, codes) {
    let best = { distance: Infinity };
    for (const code of codes) {
      const found = distance(z, code.z);
      if (found < best.distance) best = { distance: found, label: code.label };
    }
    return best;
  }

  /** The place within a radius of the center that is farthest from all codes. */
  function hole(codes) {
    let best = { z: CENTER, distance: -1 };
    const steps = Array.from({ length: 81 }, (_, i) => (i - 40) * 0.05);
    for (const a of steps) {
      for (const b of steps) {
        if (Math.hypot(a, b) > WITHIN) continue;
        const found = nearest([a, b], codes).distance;
        if (found > best.distance) best = { z: [a, b], distance: found };
      }
    }
    return best;
  }

  /** The decoder and the codes: `decode(z)` gives the probability of each pixel. */
  function load() {
    const { arrays, manifest, run } = network.load(MODEL);
    const label = (i) => arrays.labels[i];
    const codes = Array.from(arrays.labels, (_, i) =>
      ({ z: [...arrays.codes.subarray(2 * i, 2 * i + 2)], label: label(i) }));
    return { codes, manifest, decode: (z) => run(z).map(sigmoid) };
  }

  let loaded = null;
  const model = () => (loaded ??= load());

  /* ---- the parts of the figure ----------------------------------------------------------------- */

  const pair = (z) => `(${z.map((value) => format(value, 2)).join(", ")})`;

  function picture() {
    const element = parse(`<canvas class="latent-image" width="${SIDE}" height="${SIDE}"
      role="img" aria-label="The decoded digit"></canvas>`);
    const context = element.getContext("2d");
    const image = context.createImageData(SIDE, SIDE);
    const show = (probabilities) => {
      probabilities.forEach((probability, i) => {
        const gray = Math.round(255 * probability);
        image.data.set([gray, gray, gray, 255], 4 * i);
      });
      context.putImageData(image, 0, 0);
    };
    return { element, show };
  }

  function facts() {
    const element = parse(`
      <table class="latent-facts"><caption class="widget-hidden">At this point</caption><tbody>
        <tr><th scope="row">Code <i>z</i></th><td data-label="z"></td></tr>
        <tr><th scope="row">Prior, log <i>p</i>(<i>z</i>)</th><td data-label="logPrior"></td></tr>
        <tr><th scope="row">Nearest code drawn</th><td data-label="nearest"></td></tr>
      </tbody></table>`);
    const show = (texts) => {
      for (const cell of element.querySelectorAll("td")) {
        cell.textContent = texts[cell.dataset.label];
      }
    };
    return { element, show };
  }

  function describe(z, codes) {
    const found = nearest(z, codes);
    return {
      z: pair(z),
      logPrior: `${format(logPrior(z), 2)} nats`,
      nearest: `${found.label === 8 ? "an" : "a"} ${found.label}, ${format(found.distance, 2)} away`,
    };
  }

  /** Two sliders, for exact moves and for those who cannot drag. */
  function sliders(byHand) {
    const element = parse('<div class="latent-sliders"></div>');
    const make = (axis, name) => slider({ ...RANGE, label: `<i>z</i>${name}`,
      describe: (value) => format(value, 2), onInput: (value) => byHand(axis, value) });
    const both = [make(0, "₁"), make(1, "₂")];
    element.append(...both.map((one) => one.element));
    return { element, show: (z) => both.forEach((one, axis) => one.set(z[axis])) };
  }

  /** Buttons that travel to places worth a look; the chance is the same after every reload. */
  function places(codes, travel) {
    const uniform = uniforms(3);
    const normal = normals(uniform);
    const draw = () => {
      const z = [normal(), normal()];
      return z.every((value) => Math.abs(value) <= LIMIT) ? z : draw();
    };
    const element = parse('<div class="widget-buttons"></div>');
    element.append(
      button("Center", () => travel(CENTER)),
      button("A hole", () => travel(hole(codes).z)),
      button("A random code", () => travel(codes[Math.floor(uniform() * codes.length)].z)),
      button("A draw from the prior", () => travel(draw())));
    return element;
  }

  const percent = (share) => `${format(100 * share, 0)} %`;
  const massWithin = (radius) => 1 - Math.exp(-(radius ** 2) / 2);

  function legend({ codes, manifest }) {
    const sizes = manifest.arrays.filter(({ name }) => name.endsWith(".bias"));
    const layers = [manifest.input_dim, ...sizes.map(({ shape }) => shape[0])].join("–");
    return parse(`<p class="latent-note">Each small digit is the mean code of one of
      ${codes.length} test images; its shape and its color are its class. The dotted circles hold
      ${[1, 2, 3].map(massWithin).map(percent).join(", ")} of the prior. This page runs the
      decoder itself (${layers} units, weights rounded to 16 bits).</p>`);
  }

  /** The tasks. The numbers in the answers are computed, never typed in. */
  function tasks({ codes }) {
    const { z, distance: away } = hole(codes);
    const corner = [LIMIT, LIMIT];
    const share = (place) => format(100 * (1 - massWithin(Math.sqrt(squared(place)))), 3);
    return parse(`
      <div class="widget-tasks"><p class="widget-title">Try this</p>
        <ol>
          <li>Drag from one class slowly to another. Does the image ever jump?</li>
          <li>Press “A hole”. Would the prior come here? What does the decoder draw?</li>
          <li>Move to the upper right corner. What does the decoder draw where no code is?</li>
        </ol>
        <details><summary>Answers</summary><ol>
          <li>No. The decoder is a continuous function of z, so every path from one class to
            another passes images that are neither.</li>
          <li>Yes: at ${pair(z)} the log-density of the prior is
            ${format(logPrior(z), 2)}, only ${format(squared(z) / 2, 2)} nats below its top. But
            none of the codes drawn lies within ${format(away, 2)}. The decoder draws a blend of
            what surrounds the place.</li>
          <li>An image all the same. The decoder never refuses; only the density warns: there
            log p(z) = ${format(logPrior(corner), 2)}, and ${share(corner)} % of the prior lies
            farther out.</li>
        </ol></details>
      </div>`);
  }

  /* ---- the figure --------------------------------------------------------------------------- */

  function build() {
    const { codes, decode, manifest } = model();
    const state = { z: CENTER };
    const spoken = announcer();
    let stop = () => {};

    function update(z) {
      state.z = z;
      const texts = describe(z, codes);
      plane.place(z, `${texts.z}, nearest code ${texts.nearest}`);
      image.show(decode(z));
      numbers.show(texts);
      exact.show(z);
      return `z = ${texts.z}, log p(z) = ${texts.logPrior}, nearest code ${texts.nearest}.`;
    }

    const byHand = (z) => {
      stop();
      spoken.say(update(z.map((value) => snap(value, FINE))));
    };

    function travel(target) {
      stop();
      const from = state.z;
      const between = (t) => from.map((value, axis) => value + t * (target[axis] - value));
      stop = animate((t) => spoken.say(update(t === 1 ? target : between(t))), 900);
    }

    const moved = (z, by) => byHand(z ?? state.z.map((value, axis) => value + by[axis]));
    const plane = parts.latentPlane(codes, moved);
    const image = picture();
    const numbers = facts();
    const exact = sliders((axis, value) => byHand(Object.assign([...state.z], { [axis]: value })));
    const element = parse(`<div class="latent-columns">
      <div class="latent-left"><p class="widget-title">Latent plane</p></div>
      <div class="latent-right"><p class="widget-title">Decoded digit</p></div></div>`);
    element.children[0].append(plane.root, parts.latentLegend(plane.only));
    element.children[1].append(image.element, numbers.element, exact.element);
    update(CENTER);
    onWidth(element.children[0], (width) => {
      plane.resize(width);
      update(state.z);
    });
    const note = legend({ codes, manifest });
    return [element, places(codes, travel), note, tasks({ codes }), spoken.element];
  }

  define("latent", build, { model, logPrior, hole });
})();
