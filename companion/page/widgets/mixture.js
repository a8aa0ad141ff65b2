/* Interactive figure of chapter 4: shape a mixture of Gaussians over codes, by hand and by EM.
 *
 * Load widget.js, mixture-contours.js, mixture-model.js, mixture-plane.js and mixture-tasks.js
 * first. The codes of digits come from a pretrained model (tools/assets.py writes them).
 */
(() => {
  "use strict";

  const {
    announcer, button, choice, define, format, mixtureModel, mixturePlane, mixtureTasks, parse,
    slider, snap,
  } = window.CompanionWidgets;
  const {
    N, STANDARD, circle, codeSets, emStep, meanLogLikelihood, resize, reweight, sample, widen,
    widthOf,
  } = mixtureModel;

  const RANGES = {
    count: { min: 1, max: 4, step: 1 },
    place: { min: -3.5, max: 3.5, step: 0.05 },
    width: { min: 0.1, max: 2, step: 0.05 },
    weight: { min: 0.01, max: 0.99, step: 0.01 },
  };
  const NUDGE = { place: 0.1, width: 0.05 }; // for one press of a key on a knob
  const SPARE = [[-1, 0], [1, 0], [0, 1.2], [0, -1.2]].map((mean) => circle(1 / 4, mean, 0.6));
  const NAMES = { digits: "Digits, in a 2-D latent space", pinwheel: "A pinwheel" };

  const mixtureOf = (count) => resize(SPARE, count, SPARE);
  const start = () => ({ mixture: mixtureOf(3), selected: 0, steps: 0, gain: NaN });

  function compute(mixture, codes) {
    const [own, standard] = [mixture, STANDARD].map((each) => meanLogLikelihood(each, codes));
    return { mixture: own, standard, difference: own - standard };
  }

  const replace = (mixture, k, changed) =>
    mixture.map((each, i) => (i === k ? changed(each) : each));

  /* ---- the parts of the figure: each is {element, show(state, values)} ----------------------- */

  const titled = (title, area, ...nodes) => {
    const element = parse(`
      <div class="mixture-${area}"><p class="widget-title">${title}</p></div>`);
    element.append(...nodes);
    return element;
  };

  function plane(actions) {
    const { root, show } = mixturePlane.planePanel(actions);
    const note = parse(`<p class="widget-note">Drag a numbered knob. Keys: arrows move it, + and −
      change its width. From a contour to the next, the density doubles; the outermost is
      0.005.</p>`);
    return { element: titled("Codes and mixture", "plane", root, note), show };
  }

  function samples() {
    const { root, show } = mixturePlane.samplePanel();
    const note = parse(`<p class="widget-note">Their noise stays the same. Only the mixture moves
      them.</p>`);
    return { element: titled(`${N} samples from the mixture`, "samples", root, note),
      show: ({ mixture }) => show(sample(mixture)) };
  }

  function controls(state, change) {
    const edit = (k, changed) => replace(state.mixture, k, changed);
    const shift = (axis, value) => ({ mean }) => mean.map((old, i) => (i === axis ? value : old));
    const own = (label, range, edited) => slider({ ...RANGES[range], label,
      describe: (value) => format(value, 2),
      onInput: (value) => change({ mixture: edited(state.selected, value) }) });
    const place = (axis) => (k, value) =>
      edit(k, (each) => ({ ...each, mean: shift(axis, value)(each) }));
    const sliders = {
      a: own("Mean z₁", "place", place(0)),
      b: own("Mean z₂", "place", place(1)),
      width: own("Width (standard deviation)", "width",
        (k, value) => edit(k, (each) => widen(each, value))),
      weight: own("Weight", "weight", (k, value) => reweight(state.mixture, k, value)),
    };
    const count = slider({ ...RANGES.count, label: "Number of components", describe: String,
      onInput: (value) => change({ mixture: resize(state.mixture, value, SPARE),
        selected: Math.min(state.selected, value - 1) }) });
    const which = parse(`<fieldset class="mixture-which"><legend></legend></fieldset>`);
    which.append(...Object.values(sliders).map((each) => each.element));
    const element = parse('<div class="mixture-controls"></div>');
    element.append(count.element, which);
    function show({ mixture, selected }) {
      const { mean: [a, b], weight } = mixture[selected];
      count.set(mixture.length);
      which.querySelector("legend").textContent = `Component ${selected + 1}`;
      sliders.a.set(a);
      sliders.b.set(b);
      sliders.width.set(widthOf(mixture[selected]));
      sliders.weight.set(weight);
      sliders.weight.element.querySelector("input").disabled = mixture.length === 1;
    }
    return { element, show };
  }

  function fitting({ step, reset, pick, sets }) {
    const element = parse('<div class="mixture-fitting"></div>');
    const options = Object.keys(sets).map((name) => [name, NAMES[name]]);
    const codes = choice({ label: "Codes", options, onInput: pick });
    const buttons = parse('<div class="widget-buttons"></div>');
    buttons.append(button("One EM step", () => step(1)), button("10 EM steps", () => step(10)),
      button("Start again", reset));
    const row = (kind, name, label) => `<tr class="widget-row-${kind}"><th scope="row">${label}</th>
      <td data-value="${name}"></td></tr>`;
    const table = parse(`
      <table class="widget-table"><caption>Mean log-likelihood of the ${N} codes, in nats</caption>
        <tbody>${row("term", "mixture", "Mixture")}
        ${row("term", "standard", "− standard normal")}
        ${row("sum", "difference", "= difference")}
        ${row("term", "steps", "EM steps since the last change")}
        ${row("term", "gain", "Gain of the last one")}</tbody></table>`);
    element.append(codes.element, table, buttons);
    const cells = [...table.querySelectorAll("td")];
    function show({ chosen, steps, gain }, values) {
      codes.set(chosen);
      const all = { ...values, steps, gain };
      const digits = { steps: 0, gain: 4 };
      for (const cell of cells) {
        const { value } = cell.dataset;
        cell.textContent = Number.isFinite(all[value]) ? format(all[value], digits[value]) : "–";
      }
    }
    return { element, show };
  }

  function build() {
    const sets = codeSets();
    const state = { ...start(), chosen: Object.keys(sets)[0] };
    const spoken = announcer();

    function update(changed) {
      Object.assign(state, changed);
      const codes = sets[state.chosen];
      const values = compute(state.mixture, codes);
      for (const part of parts) part.show({ ...state, codes }, values);
      return `Mean log-likelihood ${format(values.mixture)}, ${format(values.difference)} nats ` +
        "above the standard normal.";
    }

    /** A change by hand: the steps of EM count from here. */
    const change = (changed) => spoken.say(update({ steps: 0, gain: NaN, ...changed }));

    function step(times) {
      const codes = sets[state.chosen];
      let [mixture, gain] = [state.mixture, NaN];
      for (let i = 0; i < times; i += 1) {
        const next = emStep(mixture, codes);
        gain = meanLogLikelihood(next, codes) - meanLogLikelihood(mixture, codes);
        mixture = next;
      }
      const text = update({ mixture, gain, steps: state.steps + times });
      spoken.say(`${state.steps} EM steps. ${text}`);
    }

    const moveTo = (k, place) => change({ selected: k, mixture: replace(state.mixture, k, (each) =>
      ({ ...each, mean: place.map((value) => snap(value, RANGES.place)) })) });
    const actions = {
      onSelect: (k) => k !== state.selected && update({ selected: k }),
      onMove: moveTo,
      onNudge: (k, steps) => moveTo(k, state.mixture[k].mean.map((old, i) =>
        old + steps[i] * NUDGE.place)),
      onWiden: (k, steps) => change({ selected: k, mixture: replace(state.mixture, k, (each) =>
        widen(each, snap(widthOf(each) + steps * NUDGE.width, RANGES.width))) }),
    };
    const reset = () => change(start());
    const pick = (chosen) => change({ chosen });
    const parts = [plane(actions), fitting({ step, sets, reset, pick }), controls(state, change),
      samples()];
    const layout = parse('<div class="mixture-layout"></div>');
    layout.append(...parts.map((part) => part.element));
    update({});
    return [layout, mixtureTasks.tasks(mixtureOf, sets), spoken.element];
  }

  define("mixture", build, { codeSets, compute, emStep, sample });
})();
