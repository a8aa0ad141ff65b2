/* Interactive figure of chapter 2: two estimators of one gradient, sample by sample.
 *
 * The draws keep their noise when q or f changes, so the averages move with the sliders. Load
 * widget.js, reparameterization-model.js and reparameterization-panels.js first.
 */
(() => {
  "use strict";

  const {
    announcer, button, choice, define, format, normals, parse, reparameterizationModel,
    reparameterizationPanels, slider, snap, uniforms,
  } = window.CompanionWidgets;
  const { INTEGRANDS, compute } = reparameterizationModel;

  const START = { f: "square", m: 0, logV: 0, eps: -0.8, n: 0 };
  const RANGES = {
    m: { min: -2, max: 3, step: 0.05 },
    logV: { min: -3, max: 0, step: 0.05 },
    eps: { min: -2.5, max: 2.5, step: 0.05 },
  };
  const SEED = 2014;
  const MOST = 1000;

  /** The first n noises; always the same ones. */
  const noise = (n) => Array.from({ length: n }, normals(uniforms(SEED)));
  const NOISE = noise(MOST);

  /* ---- the parts of the figure: each is {element, show(state, values)} ----------------------- */

  function sampling(byHand, state) {
    const element = parse(`<div><p class="widget-title">One sample</p></div>`);
    const { root, show } = reparameterizationPanels.samplePanel({
      onMean: (m) => byHand({ m: snap(m, RANGES.m) }),
      onSample: (z) => byHand({ eps: snap((z - state.m) / Math.exp(state.logV / 2), RANGES.eps) }),
    });
    element.append(root, parse(`<p class="widget-note">Drag the square, the mean m, or the circle,
      the sample z. The arrow is the tangent of f at the sample.</p>`));
    return { element, show: (now, values) => show(INTEGRANDS[now.f], now, values) };
  }

  function controls(byHand) {
    const element = parse('<div class="widget-columns widget-columns-close"></div>');
    const knob = (name, label, digits) => slider({ ...RANGES[name], label,
      describe: digits, onInput: (value) => byHand({ [name]: value }) });
    const options = Object.entries(INTEGRANDS).map(([name, { formula }]) => [name, formula]);
    const knobs = {
      f: choice({ label: "Integrand f(z)", options, onInput: (f) => byHand({ f }) }),
      eps: knob("eps", "Noise ε", (eps) => format(eps, 2)),
      m: knob("m", "Mean m", (m) => format(m, 2)),
      logV: knob("logV", "Log-variance log σ²",
        (logV) => `${format(logV, 2)} (σ ${format(Math.exp(logV / 2))})`),
    };
    element.append(...Object.values(knobs).map((each) => each.element));
    const show = (state) => {
      for (const [name, { set }] of Object.entries(knobs)) set(state[name]);
    };
    return { element, show };
  }

  function drawing(draw, reset) {
    const element = parse(`<div><p class="widget-title">Averages of many samples: the derivative
      of E[f(z)] with respect to m</p><div class="widget-buttons"></div></div>`);
    const more = [1, 100].map((n) => button(`Draw ${n}`, () => draw(n)));
    element.querySelector("div").append(...more, button("Start again", reset));
    const { root, show } = reparameterizationPanels.averagesPanel();
    element.append(root, parse(`<p class="widget-note">Bands: the exact gradient ± one standard
      error. A slider moves the draws and keeps their noise ε.</p>`));
    return { element, show(state, values) {
      show(values);
      for (const each of more) each.setAttribute("aria-disabled", String(state.n >= MOST));
    } };
  }

  const row = (name, label) => `
    <tr><th scope="row">${label}</th>${["pathwise", "score"].map((way) =>
      `<td data-value="${way}.${name}"></td>`).join("")}</tr>`;

  function numbers() {
    const element = parse(`
      <table class="widget-table widget-estimators">
        <caption>Estimates of dE[f(z)]/dm</caption>
        <thead><tr><td></td>
          <th scope="col"><span class="widget-q-word">Pathwise</span> f′(z)</th>
          <th scope="col"><span class="widget-gap-word">Score function</span> f(z) ε/σ</th>
        </tr></thead><tbody>
        ${row("sample", "At this sample")}
        ${row("average", 'Average, n = <span data-value="n"></span>')}
        ${row("gradient", "Exact gradient")}
        ${row("sd", "Standard deviation of these draws")}
        ${row("exactSd", "Standard deviation, exact")}
      </tbody></table>`);
    const cells = [...element.querySelectorAll("[data-value]")];
    function show({ n }, values) {
      const number = (value) => (Number.isFinite(value) ? format(value) : "–");
      const all = { n: String(n) };
      for (const way of ["pathwise", "score"]) {
        const { averages, sd, exactSd } = values[way];
        const { gradient, sample } = values;
        const row = { sample: sample[way], average: averages.at(-1), gradient, sd, exactSd };
        for (const [name, value] of Object.entries(row)) all[`${way}.${name}`] = number(value);
      }
      for (const cell of cells) cell.textContent = all[cell.dataset.value];
    }
    return { element, show };
  }

  /** The tasks. The numbers in the answers are computed, never typed in. */
  function tasks() {
    const at = (change = {}) => {
      const { f, m, logV } = { ...START, ...change };
      const { gradient, pathwise, score } = compute(f, m, logV, 0);
      return { gradient: format(gradient), pathwise: format(pathwise.exactSd),
        score: format(score.exactSd), ratio: format((score.exactSd / pathwise.exactSd) ** 2, 1) };
    };
    const [first, shifted, narrow, wave, step] = [at(), at({ f: "shifted" }), at({ logV: -3 }),
      at({ f: "wave" }), at({ f: "step" })];
    return parse(`
      <div class="widget-tasks"><p class="widget-title">Try this</p>
        <ol>
          <li>Press “Draw 100” a few times. Where do both averages go, and which one gets there
            first?</li>
          <li>Choose (z − 1)² + 10. What changes, and what does not?</li>
          <li>Back to (z − 1)². Push the log-variance down to −3. Which spread grows, and why?</li>
          <li>Put the log-variance back to 0 and draw 1000 in all. Try the other two integrands. Is
            the pathwise estimator always the better one? Is it always right?</li>
        </ol>
        <details><summary>What you should have seen</summary><ol>
          <li>Both go to the exact gradient, ${first.gradient}. One pathwise estimate spreads by
            ${first.pathwise}, one score-function estimate by ${first.score}. For the same precision
            the score function needs ${first.ratio} times as many draws.</li>
          <li>The gradient and the pathwise estimates stay. The spread of the score function grows
            to ${shifted.score}: the constant multiplies ε/σ. A baseline takes it away again.</li>
          <li>The score function's: ${narrow.score}, against ${narrow.pathwise} for the pathwise
            estimator. Its factor ε/σ grows as σ shrinks. Under a narrow q, f′ hardly varies.</li>
          <li>No, twice. sin 4z is steep but bounded: ${wave.pathwise} for the pathwise estimator,
            ${wave.score} for the score function. The step has the derivative 0 wherever it has one,
            so the pathwise average is 0.000, but the exact gradient is ${step.gradient}. At a jump,
            gradient and expectation may not trade places.</li>
        </ol></details>
      </div>`);
  }

  function build() {
    const state = { ...START };
    const spoken = announcer();

    function update(change) {
      Object.assign(state, change);
      const values = compute(state.f, state.m, state.logV, state.eps, NOISE.slice(0, state.n));
      for (const part of parts) part.show(state, values);
      const { gradient, pathwise, score, sample } = values;
      return state.n === 0
        ? `Pathwise ${format(sample.pathwise)}, score function ${format(sample.score)}.`
        : `Average of ${state.n}: pathwise ${format(pathwise.averages.at(-1))}, score function ` +
          `${format(score.averages.at(-1))}, exact ${format(gradient)}.`;
    }

    const byHand = (change) => spoken.say(update(change));
    function draw(more) {
      const n = Math.min(state.n + more, MOST);
      byHand({ n, eps: NOISE[n - 1] });
    }

    const parts = [sampling(byHand, state), controls(byHand),
      drawing(draw, () => byHand(START)), numbers()];
    update({});
    return [...parts.map((part) => part.element), tasks(), spoken.element];
  }

  define("reparameterization", build, { compute, noise });
})();
