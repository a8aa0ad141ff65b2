/* Interactive figure of chapter 5: attack two networks, and see how far each must be pushed.
 *
 * The page computes everything itself, in slices of a few milliseconds. The networks and the digits
 * come from pretrained models (companion.page._widget_numbers). Load widget.js, network.js,
 * attack-draw.js, attack-model.js and attack-panels.js first.
 */
(() => {
  "use strict";

  const {
    announcer, attackDraw, attackModel, attackPanels, choice, define, format, parse, set, slider,
  } = window.CompanionWidgets;
  const { SIDE, drawingPad, paint } = attackDraw;
  const { NORMS, attack, finish, model, smallest } = attackModel;
  const { STEPS, TITLES, networkPanel, radii, words } = attackPanels;

  const SLICE = 8; // ms of work between two chances for the page to draw
  const FIRST = 7; // the digit that the figure begins with
  const START = { norm: "linf", steps: 20, eps: { linf: 0.1, l2: 1 } };
  const WIDE = { linf: "linf: the largest change of a pixel", l2: "l2: the length of the change" };

  /* ---- work in slices ------------------------------------------------------------------------ */

  /** Runs generators by slices, the first of them first; `put(place, steps)` replaces one. */
  function worker(places) {
    const jobs = new Map(places.map((place) => [place, null]));
    let timer = 0;
    const next = () => places.find((place) => jobs.get(place));
    function work() {
      timer = 0;
      const end = performance.now() + SLICE;
      for (let place = next(); place && performance.now() < end; place = next()) {
        const job = jobs.get(place);
        const { done } = job.next();
        if (done && jobs.get(place) === job) jobs.set(place, null);
      }
      wake();
    }
    function wake() {
      if (!timer && next()) timer = setTimeout(work, 0);
    }
    function put(place, steps) {
      jobs.set(place, steps);
      wake();
    }
    return { put, busy: (place) => jobs.get(place) !== null };
  }

  /* ---- the parts of the figure --------------------------------------------------------------- */

  /** Held-out digits as buttons, and one more that opens the drawing pad. */
  function picker(pictures, onPick) {
    const element = parse(`<div class="attack-picker" role="group"
      aria-label="Held-out digits"></div>`);
    const add = (source, label, content) => {
      const node = parse(`<button type="button" data-source="${source}" aria-label="${label}"
        aria-pressed="false">${content}</button>`);
      node.addEventListener("click", () => onPick(source));
      element.append(node);
      return node;
    };
    pictures.forEach(({ label, x }, i) => {
      const turn = pictures.slice(0, i).filter((other) => other.label === label).length + 1;
      const node = add(i, `Held-out ${label}, number ${turn}`,
        `<canvas width="${SIDE}" height="${SIDE}" aria-hidden="true"></canvas>`);
      paint(node.querySelector("canvas"), x);
    });
    const draw = add("drawing", "Draw a digit", "Draw a digit");
    draw.classList.add("widget-button");
    const show = (source) => {
      for (const node of element.children) {
        set(node, { "aria-pressed": String(node.dataset.source === String(source)) });
      }
    };
    return { element, show };
  }

  function controls(change) {
    const element = parse('<div class="attack-controls"></div>');
    const steps = choice({ label: "Steps",
      options: STEPS.map((count) => [count, count === 1 ? "1 (FGSM)" : String(count)]),
      onInput: (value) => change({ steps: Number(value) }) });
    const norm = choice({ label: "Norm", options: Object.entries(WIDE),
      onInput: (value) => change({ norm: value }) });
    const label = choice({ label: "True class",
      options: Array.from({ length: 10 }, (_, k) => [k, String(k)]),
      onInput: (value) => change({ chosen: Number(value) }) });
    const sliders = Object.fromEntries(Object.entries(NORMS).map(([name, { most, parts, digits }]) =>
      [name, slider({ label: `Limit <i>ε</i> in ${name}`, min: 0, max: most / parts,
        step: 5 / parts, describe: (value) => format(value, digits),
        onInput: (value) => change({ eps: { [name]: value } }) })]));
    element.append(...Object.values(sliders).map((each) => each.element), norm.element,
      steps.element, label.element);
    function show(state, truth) {
      for (const [name, each] of Object.entries(sliders)) {
        each.set(state.eps[name]);
        each.element.hidden = name !== state.norm;
      }
      steps.set(String(state.steps));
      norm.set(state.norm);
      label.set(String(truth));
      set(label.element.querySelector("select"), { disabled: state.source !== "drawing" });
    }
    return { element, show };
  }

  function legend() {
    return parse(`<p class="attack-note">In the bars, an outline is the probability before the
      attack, a filled bar the one after it; the true class has a frame. White and black in a
      change are the largest one. Both networks have 784–256–128–10 units. The robust one was
      trained on attacks with <i>ε</i> up to 0.1 in linf. The page computes the gradients itself, with
      weights rounded to 8 bits, and starts each attack at the digit.</p>`);
  }

  function tasks() {
    return parse(`
      <div class="widget-tasks"><p class="widget-title">Try this</p>
        <ol>
          <li>Before you look at the table: find, with the slider, the smallest <i>ε</i> at which
            each network errs. Then try another digit.</li>
          <li>Does a second step help? A third? Twenty?</li>
          <li>Change the norm to l2. Which network needs more now? It was never trained for
            that.</li>
          <li>Draw a digit, and attack it.</li>
        </ol>
        <details><summary>What you should have seen</summary><ol>
          <li>For each digit that both read right, the robust network needs more than twice as
            much. The last 9 both misread without an attack, so there it is 0.</li>
          <li>A second step usually helps, and most on the robust network: FGSM fails on some
            digits at every <i>ε</i> up to 0.3, where two or three steps succeed. From 5 steps to 20
            the number falls by less than a tenth. Now and then it rises with the steps: bisection
            finds an <i>ε</i> that is enough, not always the smallest.</li>
          <li>Still the robust one, for each digit that both read right.</li>
          <li>The true class is then what the natural network reads; correct it if you meant
            another. “Center it” moves the drawing to where MNIST has its digits.</li>
        </ol></details>
      </div>`);
  }

  /* ---- the figure ---------------------------------------------------------------------------- */

  function build(root) {
    const { nets, pictures } = model();
    const names = Object.keys(nets);
    const state = { ...START, source: FIRST, drawing: new Float64Array(SIDE ** 2), chosen: null };
    const spoken = announcer();
    const work = worker(["attack", "search"]);
    let [found, again, wish] = [{}, false, ""];

    const picture = () => (state.source === "drawing" ? state.drawing : pictures[state.source].x);
    const truth = () => (state.source === "drawing"
      ? state.chosen ?? nets.natural.reads(state.drawing) : pictures[state.source].label);

    /** Attack both networks, then show it; if something changed meanwhile, do it once more. */
    function* attackBoth() {
      do {
        again = false;
        const [x, label, { norm, steps }] = [picture(), truth(), state];
        const results = {};
        for (const name of names) {
          const net = nets[name];
          const options = { norm, steps, eps: state.eps[norm] };
          const attacked = yield* attack(net, x, label, options);
          results[name] = { picture: attacked, before: net.probabilities(x),
            after: net.probabilities(attacked) };
        }
        for (const name of names) panels[name].show(label, x, results[name]);
        const empty = x.every((value) => value === 0);
        const texts = empty ? ["The pad is empty: draw a digit on it."]
          : names.map((name) => words(name, label, results[name]));
        sentence.replaceChildren(...texts.map((text) => parse(`<span>${text} </span>`)));
        spoken.say([wish, ...texts].join(" ").trim());
        wish = "";
      } while (again);
      root.dataset.attacked = "";
    }

    /** Fill the table, the chosen number of steps first. */
    function* search() {
      const [x, label, norm] = [picture(), truth(), state.norm];
      const order = [state.steps, ...STEPS.filter((steps) => steps !== state.steps)];
      for (const steps of order) {
        for (const name of names) {
          if (found[steps]?.[name] !== undefined) continue;
          const radius = yield* smallest(nets[name], x, label, { norm, steps });
          (found[steps] ??= {})[name] = radius;
          table.show(state, found);
        }
      }
      root.dataset.searched = "";
    }

    /** `changed` is a part of the state; its `eps` holds the radius of one norm. */
    function change(changed) {
      const before = [picture(), truth(), state.norm];
      Object.assign(state, changed, { eps: { ...state.eps, ...changed.eps } });
      const after = [picture(), truth(), state.norm];
      if (before.some((value, i) => value !== after[i])) found = {};
      update();
    }

    function update() {
      pad.show(picture(), state.source === "drawing");
      digits.show(state.source);
      settings.show(state, truth());
      table.show(state, found);
      for (const mark of ["attacked", "searched"]) delete root.dataset[mark];
      again = true;
      if (!work.busy("attack")) work.put("attack", attackBoth());
      work.put("search", picture().some((value) => value > 0) ? search() : null);
    }

    const pick = (source) => change(source === "drawing"
      ? { source, chosen: null, drawing: new Float64Array(SIDE ** 2) } : { source });
    const draw = (drawing) => change(drawing.every((value) => value === 0)
      ? { drawing, chosen: null } : { drawing });
    const say = (text) => {
      wish = text;
      if (!work.busy("attack")) spoken.say(text);
    };
    const take = (name) => {
      const radius = found[state.steps]?.[name];
      if (radius >= 0) change({ eps: { [state.norm]: radius } });
    };

    const pad = drawingPad(draw, say);
    const digits = picker(pictures, pick);
    const settings = controls(change);
    const table = radii(take);
    const panels = Object.fromEntries(names.map((name) => [name, networkPanel(name)]));
    const sentence = parse('<p class="attack-sentence"></p>');
    const layout = parse(`<div class="attack-layout">
      <p class="widget-title">A digit</p>
      <div class="attack-choose"></div><div class="attack-networks"></div></div>`);
    const [title, chosen, both] = layout.children;
    title.after(digits.element);
    chosen.append(pad.element, settings.element);
    both.before(sentence);
    both.append(...names.map((name) => panels[name].element));
    const below = parse('<div class="attack-below"></div>');
    below.append(table.element, legend());
    layout.append(below);
    update();
    return [layout, tasks(), spoken.element];
  }

  define("attack", build, { model, attack, finish, smallest, TITLES });
})();
