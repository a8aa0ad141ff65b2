/* Interactive figure of chapter 9: a GAN in the plane that trains in the page.
 *
 * Load widget.js, gan-mlp.js, gan-play.js and gan-show.js first.
 */
(() => {
  "use strict";

  const {
    announcer, button, choice, define, format, ganPlay, ganShow, parse, set, slider, uniqueId,
  } = window.CompanionWidgets;
  const { CLIP, TARGETS, game, modesOf } = ganPlay;

  const BUDGET = 12; // milliseconds of training a frame
  const RUN = 3000; // steps after which the game pauses
  const COUNT_EVERY = 25;
  const SPEAK_EVERY = 5000; // milliseconds
  const REST = 1000; // milliseconds between two pictures where the reader wants no motion

  const RATES = { gRate: [5e-4, 1e-3, 2e-3, 3e-3], dRate: [5e-4, 1e-3, 3e-3, 8e-3] };
  const HEALTHY = { loss: "non-saturating", dSteps: 1, gRate: 1e-3, dRate: 3e-3, beta1: 0 };
  const COLLAPSE = { ...HEALTHY, gRate: 2e-3, dRate: 5e-4, beta1: 0.5 };

  const percent = (share) => `${format(100 * share, 0)} %`;

  /* ---- the controls ---------------------------------------------------------------------------- */

  const LOSSES = [
    ["non-saturating", "Non-saturating"],
    ["minimax", "Minimax"],
    ["wasserstein", "Wasserstein, clipped"],
    ["hinge", "Hinge"],
  ];
  const SHAPES = [["ring", "Ring of 8"], ["grid", "Grid of 25"], ["moons", "Two moons"]];

  /** A slider over a few values, which the browser marks. */
  function rate(label, values, onInput) {
    const made = slider({ label, min: 0, max: values.length - 1, step: 1,
      describe: (i) => String(values[i]),
      onInput: (i) => {
        made.set(i);
        onInput(values[i]);
      } });
    const id = uniqueId("marks");
    const marks = values.map((_, i) => `<option value="${i}"></option>`).join("");
    made.element.append(parse(`<datalist id="${id}">${marks}</datalist>`));
    set(made.element.querySelector("input"), { list: id });
    return { element: made.element, set: (value) => made.set(values.indexOf(value)) };
  }

  function controls(change, changeTarget) {
    const element = parse('<div class="gan-controls"></div>');
    const numbers = (values) => values.map((value) => [value, String(value)]);
    const made = {
      target: choice({ label: "Data", options: SHAPES, onInput: changeTarget }),
      loss: choice({ label: "Loss", options: LOSSES, onInput: (loss) => change({ loss }) }),
      dSteps: choice({ label: "Discriminator steps",
        options: numbers([1, 2, 5]), onInput: (value) => change({ dSteps: Number(value) }) }),
      beta1: choice({ label: "Adam, <i>β</i>₁ of both", options: numbers([0, 0.5, 0.9]),
        onInput: (value) => change({ beta1: Number(value) }) }),
      gRate: rate("Learning rate, generator", RATES.gRate, (gRate) => change({ gRate })),
      dRate: rate("Learning rate, discriminator", RATES.dRate, (dRate) => change({ dRate })),
    };
    element.append(...Object.values(made).map((one) => one.element));
    const show = (values) => {
      for (const [name, control] of Object.entries(made)) control.set(values[name]);
    };
    return { element, show };
  }

  /* ---- the numbers ------------------------------------------------------------------------------ */

  const ROWS = [["steps", "Steps"], ["filled", "Modes filled"], ["found", "Modes found"],
    ["quality", "Samples of high quality"]];

  function facts() {
    const row = ([name, words]) =>
      `<tr><th scope="row">${words}</th><td data-label="${name}"></td></tr>`;
    const element = parse(`<table class="widget-table gan-facts">
      <caption class="widget-hidden">Now</caption><tbody>${ROWS.map(row).join("")}</tbody></table>`);
    const show = (texts) => {
      for (const cell of element.querySelectorAll("td")) {
        cell.textContent = texts[cell.dataset.label];
      }
    };
    return { element, show };
  }

  function describe(now, count, target) {
    const of = ` of ${modesOf(target)}`;
    return { steps: String(now), filled: count.filled + of, found: count.found + of,
      quality: percent(count.quality) };
  }

  const sentence = ({ steps, filled, quality }, parts) =>
    `${steps} steps: ${filled} ${parts} filled, ${quality} of the samples of high quality.`;

  const note = () => parse(`<details class="gan-note"><summary>How it plays, and how it
    counts</summary><p class="widget-note">A round is one step or more of the discriminator, and
    one of the generator. Both networks have two hidden layers of 32 units; batches have 64 points.
    The Wasserstein critic's weights are clipped at ${CLIP}. Every change acts at once, on the game
    as it stands; new data begin a new one. A sample has high quality within 3 standard deviations
    of its nearest mode. A mode is found by one such sample, and filled by a fifth of its fair
    share of 1,000 samples. Each of the two moons counts as eight stretches.</p></details>`);

  const tasks = () => parse(`
    <div class="widget-tasks"><p class="widget-title">Try this</p>
      <ol>
        <li>Press “Healthy” and start. Watch the losses: could you tell from them alone when all
          modes are filled?</li>
        <li>Press “Collapse” and start. When the dots have gathered, change one control, and find
          one that cures the game.</li>
        <li>Begin again with “Healthy”. Which single change makes it collapse?</li>
      </ol>
      <details><summary>Answers</summary><ol>
        <li>No. From step 200 to step 500 all eight modes of the ring filled in three seeds, and
          the mean losses of 100 steps stayed within 0.05 of where they were. In the collapse they
          are not far away: about 1.38 for the discriminator instead of 1.30, and 0.70 for the
          generator instead of 0.78.</li>
        <li>A faster discriminator: with a learning rate of 0.008 for it, all eight modes of the
          ring were filled within 500 steps, in each of three seeds. Five discriminator steps a
          round did it too, within 800. In this collapse the discriminator was the slower player:
          its learning rate was a quarter of the generator's.</li>
        <li>A slower discriminator: with 0.0005 instead of 0.003, and nothing else changed, no
          more than 3 of the 8 modes were filled at any count in 2,000 steps, in three seeds.</li>
      </ol></details>
    </div>`);

  /* ---- the figure ------------------------------------------------------------------------------- */

  /** What the discriminator says at scores, from -1 (generated) to 1 (data). */
  function levels(scores, loss) {
    if (loss !== "wasserstein") return scores.map((score) => Math.tanh(score / 2)); // 2 D(x) - 1
    const sorted = scores.slice().sort(); // a critic has no zero: what counts is higher or lower
    const middle = sorted[sorted.length >> 1];
    const most = Math.max(sorted.at(-1) - middle, middle - sorted[0], 1e-9);
    return scores.map((score) => (score - middle) / most);
  }

  /** The course of one game: mean losses and counts, each at its step. */
  function record() {
    const [losses, counts] = [[], []];
    let [sum, n] = [{ gLoss: 0, dLoss: 0 }, 0];
    const add = ({ gLoss, dLoss }) => {
      sum = { gLoss: sum.gLoss + gLoss, dLoss: sum.dLoss + dLoss };
      n += 1;
    };
    const close = (step, { filled, quality }, modes) => {
      if (n > 0) losses.push({ step, gLoss: sum.gLoss / n, dLoss: sum.dLoss / n });
      counts.push({ step, filled: filled / modes, quality });
      [sum, n] = [{ gLoss: 0, dLoss: 0 }, 0];
    };
    return { losses, counts, add, close };
  }

  function build() {
    const options = { ...HEALTHY };
    const setting = { target: "ring", seed: 1 };
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    const spoken = announcer(300);
    const plane = ganShow.planePanel();
    const [losses, counts] = [ganShow.lossChart(), ganShow.countChart()];
    const numbers = facts();
    let [current, course, count, frame, until] = [null, null, null, 0, 0];
    let [painted, said] = [0, 0];

    const running = () => frame !== 0;
    const texts = () => describe(current.steps(), count, current.target);
    const say = () => spoken.say(sentence(texts(), current.target.parts));

    function draw() {
      plane.show({ levels: levels(current.scores(ganShow.CELLS), options.loss),
        data: current.data, samples: current.samples(ganShow.N_DRAWN) });
      losses.show(course.losses);
      counts.show(course.counts);
      numbers.show(texts());
      plane.describe(`The plane: data as crosses, generated points as dots, and the field of the
        discriminator. ${sentence(texts(), current.target.parts)}`.replace(/\s+/g, " "));
    }

    function tally() {
      count = current.count();
      course.close(current.steps(), count, modesOf(current.target));
    }

    function reset() {
      current = game(setting);
      course = record();
      until = RUN;
      tally();
      draw();
      controlsOf.show({ ...options, ...setting });
      say();
    }

    function step() {
      course.add(current.step(options));
      if (current.steps() % COUNT_EVERY === 0) tally();
    }

    function tick(now) {
      const end = performance.now() + BUDGET;
      do step(); while (performance.now() < end && current.steps() < until);
      if (current.steps() >= until || !start.isConnected) return pause();
      if (!still.matches || now - painted > REST) {
        painted = now;
        draw();
      }
      if (now - said > SPEAK_EVERY) {
        said = now;
        say();
      }
      frame = requestAnimationFrame(tick);
    }

    function pause() {
      cancelAnimationFrame(frame);
      frame = 0;
      start.textContent = "Start";
      count = current.count();
      draw();
      say();
    }

    function toggle() {
      if (running()) return pause();
      until = current.steps() + RUN;
      start.textContent = "Pause";
      said = performance.now();
      frame = requestAnimationFrame(tick);
    }

    function once() {
      if (running()) return pause();
      step();
      count = current.count();
      draw();
      say();
    }

    function preset(values) {
      if (running()) pause();
      Object.assign(options, values);
      reset();
    }

    function restart(changes = {}) {
      Object.assign(setting, changes);
      reset();
    }

    const start = button("Start", toggle);
    start.classList.add("gan-start");
    const controlsOf = controls((changes) => Object.assign(options, changes),
      (target) => restart({ target }));
    const buttons = parse('<div class="widget-buttons gan-buttons"></div>');
    buttons.append(button("Healthy", () => preset(HEALTHY)),
      button("Collapse", () => preset(COLLAPSE)), start, button("One step", once),
      button("Reset, same seed", () => restart()),
      button("Reset, new seed", () => restart({ seed: setting.seed + 1 })));

    const element = parse(`<div class="gan-columns">
      <div><p class="widget-title">The plane</p></div>
      <div class="gan-play"></div>
      <div class="gan-charts"><div><p class="widget-title">Losses</p></div>
        <div><p class="widget-title">Modes and quality</p></div></div></div>`);
    const [left, play, right] = element.children;
    left.append(plane.root, ganShow.planeLegend());
    play.append(buttons, controlsOf.element, numbers.element);
    right.children[0].append(losses.root, ganShow.lossLegend());
    right.children[1].append(counts.root, ganShow.countLegend());
    reset();
    for (const node of [document.documentElement, document.body]) {
      new MutationObserver(() => draw()).observe(node,
        { attributes: true, attributeFilter: ["data-theme", "theme", "data-jp-theme-light"] });
    }
    matchMedia("print").addEventListener("change", () => draw());
    return [element, note(), tasks(), spoken.element];
  }

  define("gan", build, { HEALTHY, COLLAPSE, levels });
})();
