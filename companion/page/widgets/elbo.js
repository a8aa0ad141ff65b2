/* Interactive figure of chapter 1: move q and watch the evidence lower bound.
 *
 * The model is linear and Gaussian, z ~ N(0, 1) and x | z ~ N(WEIGHT z, NOISE), so every number is
 * exact. Load widget.js and elbo-panels.js first.
 */
(() => {
  "use strict";

  const { animate, announcer, button, define, elboPanels, format, onWidth, parse, slider, snap } =
    window.CompanionWidgets;

  const WEIGHT = 2;
  const NOISE = 1; // the variance of x given z
  const PRIOR = { mean: 0, variance: 1 };
  const START = { x: 2, m: PRIOR.mean, v: PRIOR.variance };
  const RANGES = {
    m: { min: -2, max: 3, step: 0.05 },
    logV: { min: -5, max: 1.5, step: 0.05 },
    x: { min: -3, max: 3, step: 0.5 },
  };

  /* ---- the model ----------------------------------------------------------------------------- */

  const logNormal = (x, mean, variance) =>
    -0.5 * (Math.log(2 * Math.PI * variance) + (x - mean) ** 2 / variance);

  /** KL(N(m, v) || to). */
  const kl = (m, v, to) =>
    0.5 * ((v + (m - to.mean) ** 2) / to.variance - 1 - Math.log(v / to.variance));

  /** The exact posterior of z given x. */
  function posteriorOf(x) {
    const total = WEIGHT ** 2 + NOISE;
    return { mean: (WEIGHT * x) / total, variance: NOISE / total };
  }

  /** Every term for q = N(m, v), in nats. The gap is the KL itself, not a difference. */
  function compute(x, m, v) {
    if (!(v > 0)) throw new RangeError(`The variance v must be positive, got ${v}.`);
    const logLikelihood = logNormal(x, WEIGHT * m, NOISE) - (0.5 * WEIGHT ** 2 * v) / NOISE;
    const klPrior = kl(m, v, PRIOR);
    return {
      logLikelihood,
      klPrior,
      elbo: logLikelihood - klPrior,
      gap: kl(m, v, posteriorOf(x)),
      logEvidence: logNormal(x, 0, WEIGHT ** 2 + NOISE),
    };
  }

  /* ---- the parts of the figure: each is {element, show(state, values)} ----------------------- */

  function plots(byHand) {
    const element = parse('<div class="widget-panels"></div>');
    const title = (text) => parse(`<p class="widget-title">${text}</p>`);
    const logVariance = (sd) => snap(2 * Math.log(Math.max(sd, 1e-6)), RANGES.logV);
    const upper = elboPanels.densityPanel({
      onMean: (z) => byHand({ m: snap(z, RANGES.m) }),
      onDeviation: (sd) => byHand({ v: Math.exp(logVariance(sd)) }),
    });
    const lower = elboPanels.budgetPanel();
    element.append(title("Densities over z"), upper.root);
    element.append(title("The budget, in nats"), lower.root);

    let width = 0;
    let last = [];
    function show(state, values) {
      last = [state, values];
      if (width === 0) return; // nothing can be measured before the first layout
      const q = { mean: state.m, variance: state.v };
      upper.draw({ prior: PRIOR, posterior: posteriorOf(state.x), q }, width);
      lower.draw(values, width);
    }
    onWidth(element, (now) => {
      width = now;
      show(...last);
    });
    return { element, show };
  }

  function controls(byHand, travel) {
    const element = parse('<div class="widget-controls"></div>');
    const mean = slider({ ...RANGES.m, label: "Mean of q", describe: (m) => format(m, 2),
      onInput: (m) => byHand({ m }) });
    const variance = slider({ ...RANGES.logV, label: "Variance of q (log scale)",
      describe: (logV) => `${format(Math.exp(logV))} (sd ${format(Math.exp(logV / 2))})`,
      onInput: (logV) => byHand({ v: Math.exp(logV) }) });
    const observed = slider({ ...RANGES.x, label: "Observed x", describe: (x) => format(x, 1),
      onInput: (x) => byHand({ x }) });
    const match = (state) => {
      const posterior = posteriorOf(state.x);
      return { x: state.x, m: posterior.mean, v: posterior.variance };
    };
    const buttons = parse('<div class="widget-buttons"></div>');
    buttons.append(button("Match the posterior", () => travel(match)),
      button("Start again", () => travel(() => START)));
    element.append(mean.element, variance.element, observed.element, buttons);
    const show = ({ x, m, v }) => {
      mean.set(m);
      variance.set(Math.log(v));
      observed.set(x);
    };
    return { element, show };
  }

  const row = (kind, name, label) => `
    <tr class="widget-row-${kind}"><th scope="row">
      <span class="widget-swatch widget-swatch-${name}" aria-hidden="true"></span>${label}
    </th><td data-value="${name}"></td></tr>`;

  function numbers() {
    const element = parse(`
      <table class="widget-table"><caption>In nats, rounded</caption><tbody>
        ${row("term", "logLikelihood", "Expected log-likelihood")}
        ${row("term", "klPrior", "− KL(q ‖ prior)")}
        ${row("sum", "elbo", "= ELBO")}
        ${row("term", "gap", "+ gap, KL(q ‖ posterior)")}
        ${row("sum", "logEvidence", "= log p(x)")}
      </tbody></table>`);
    const cells = [...element.querySelectorAll("td")];
    const show = (state, values) => {
      for (const cell of cells) cell.textContent = format(values[cell.dataset.value]);
    };
    return { element, show };
  }

  /** The tasks. The numbers in the answers are computed, never typed in. */
  function tasks() {
    const { mean, variance } = posteriorOf(START.x);
    const cost = (factor) => format(compute(START.x, mean, variance * factor).gap);
    const tenfold = format(0.5 * Math.log(10));
    return parse(`
      <div class="widget-tasks"><p class="widget-title">Try this</p>
        <ol>
          <li>Move the mean and the variance until the gap reads 0.000. What does q look like?</li>
          <li>Match the posterior. Then make the variance four times too small, then four times too
            large. Which costs more?</li>
          <li>Match the posterior again and push the variance towards 0. Does the gap settle?</li>
        </ol>
        <details><summary>What you should have seen</summary><ol>
          <li>Like the posterior, the only q without a gap. There the ELBO equals log p(x).</li>
          <li>Too wide costs more: ${cost(4)} nats, against ${cost(1 / 4)} for too narrow.</li>
          <li>No. The expected log-likelihood improves a little, but KL(q ‖ prior) grows without
            limit: in the end by ${tenfold} nats each time the variance shrinks tenfold.</li>
        </ol></details>
      </div>`);
  }

  function build() {
    const state = { ...START };
    const spoken = announcer();
    let stop = () => {};

    function update(change) {
      Object.assign(state, change);
      const values = compute(state.x, state.m, state.v);
      for (const part of parts) part.show(state, values);
      const { elbo, gap, logEvidence } = values;
      return `ELBO ${format(elbo)}, gap ${format(gap)}, log p(x) ${format(logEvidence)} nats.`;
    }

    function byHand(change) {
      stop();
      spoken.say(update(change));
    }

    /** Glide to the state that `choose(state)` names. */
    function travel(choose) {
      stop();
      const target = choose(state);
      const from = { m: state.m, logV: Math.log(state.v) };
      stop = animate((t) => {
        const logV = from.logV + t * (Math.log(target.v) - from.logV);
        const between = { x: target.x, m: from.m + t * (target.m - from.m), v: Math.exp(logV) };
        spoken.say(update(t === 1 ? target : between));
      });
    }

    const parts = [plots(byHand), controls(byHand, travel), numbers()];
    const columns = parse('<div class="widget-columns"></div>');
    columns.append(parts[1].element, parts[2].element);
    update({});
    return [parts[0].element, columns, tasks(), spoken.element];
  }

  define("elbo", build, { compute });
})();
