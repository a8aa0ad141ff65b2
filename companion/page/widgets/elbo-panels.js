/* The drawings of the figure "elbo": densities over z, a budget of nats. They know no model. */
(() => {
  "use strict";

  const { axis, drag, format, hatch, parse, scale, set, spread, uniqueId } =
    window.CompanionWidgets;

  const LEFT = 30;
  const RIGHT = 10;

  /* ---- densities over z; q carries a knob for its mean and two arrows for its deviation ------ */

  const DOMAIN = [-4, 4];
  const TOP = 1.2; // the density at the upper edge of the frame; a narrow q leaves it there
  const BASE = 190; // the y of the z axis
  const GRIP = 17; // the arrows stay this far from the knob, however small the deviation
  const SIDES = { left: -1, right: 1, mean: 0 };

  const handle = (name, [from, width], shape) => `
    <g class="widget-handle" data-handle="${name}">
      <rect x="${from}" y="-22" width="${width}" height="44"/>${shape}
    </g>`;

  const DENSITIES = `
    <svg class="widget-plot" height="244" role="img"
         aria-label="Densities over z: prior (dotted), exact posterior (dashed), q (filled).">
      <g data-part="grid"></g>
      <svg data-part="frame" x="${LEFT}" y="0" height="${BASE}">
        <path class="widget-q-fill"/><path class="widget-q-stem"/><path class="widget-q"/>
        <path class="widget-prior"/><path class="widget-posterior"/>
      </svg>
      <g data-part="axis"></g>
      <text class="widget-label widget-prior-ink" data-label="prior">prior p(z)</text>
      <text class="widget-label widget-posterior-ink" data-label="posterior"
            text-anchor="middle">posterior p(z | x)</text>
      <text class="widget-label widget-q-ink" data-label="q" y="${BASE + 50}"
            text-anchor="middle"></text>
      <path class="widget-q-bar"/>
      ${handle("left", [-31, 36], '<path d="M2,-8L-10,0L2,8Z"/>')}
      ${handle("right", [-5, 36], '<path d="M-2,-8L10,0L-2,8Z"/>')}
      ${handle("mean", [-14, 28], '<circle r="9"/>')}
    </svg>`;

  const density = (z, { mean, variance }) =>
    Math.exp(-0.5 * (z - mean) ** 2 / variance) / Math.sqrt(2 * Math.PI * variance);

  /** The path of a density, sampled by its own deviation: a spike is as smooth as a hill. */
  function curve(gaussian, x, y) {
    const sd = Math.sqrt(gaussian.variance);
    const point = (t) => {
      const z = gaussian.mean + t * sd;
      return `${x(z).toFixed(2)},${y(density(z, gaussian)).toFixed(2)}`;
    };
    const middle = Array.from({ length: 121 }, (_, i) => point((i - 60) / 10));
    return `M${[point(-1000), ...middle, point(1000)].join("L")}`;
  }

  function drawAxes(root, x, y) {
    const [left, right] = x.range;
    const level = (value) => `
      <path class="widget-grid" d="M${left},${y(value)}H${right}"/>
      <text class="widget-tick" x="${left - 6}" y="${y(value) + 4}"
            text-anchor="end">${format(value, 1)}</text>`;
    root.querySelector("[data-part=grid]").innerHTML = [0.5, 1].map(level).join("");
    root.querySelector("[data-part=axis]").innerHTML = `
      ${axis(x, [-3, -2, -1, 0, 1, 2, 3], { y: BASE, labelGap: 28 })}
      <text class="widget-tick widget-math" x="${right - 6}" y="${BASE + 28}"
            text-anchor="end">z</text>`;
    const width = right - left;
    set(root.querySelector("[data-part=frame]"), { width, viewBox: `${left} 0 ${width} ${BASE}` });
  }

  function drawCurves(root, { prior, posterior, q }, x, y) {
    const draw = (name, d) => set(root.querySelector(`.widget-${name}`), { d });
    draw("prior", curve(prior, x, y));
    draw("posterior", curve(posterior, x, y));
    draw("q", curve(q, x, y));
    draw("q-fill", `${curve(q, x, y)}Z`);
    draw("q-stem", `M${x(q.mean)},${BASE}V${y(density(q.mean, q))}`);
  }

  function placeLabels(root, { posterior, q }, x, y) {
    const label = (name) => root.querySelector(`[data-label=${name}]`);
    // The prior's label stands on the side that the posterior leaves free.
    const side = posterior.mean < 0 ? 1 : -1;
    const anchor = side > 0 ? "start" : "end";
    set(label("prior"), { x: x(1.25 * side), y: y(0.22), "text-anchor": anchor });
    set(label("posterior"), { y: y(0.925) });
    label("q").textContent = `q(z) = N(${format(q.mean, 2)}, ${format(q.variance)})`;
    const bounds = [0, x.range[1] + RIGHT];
    spread([{ node: label("posterior"), at: x(posterior.mean), align: 0 }], bounds);
    spread([{ node: label("q"), at: x(q.mean), align: 0 }], bounds);
  }

  function placeHandles(root, q, x) {
    const [left, right] = x.range;
    const deviation = x(q.mean + Math.sqrt(q.variance)) - x(q.mean);
    for (const [name, sign] of Object.entries(SIDES)) {
      const at = x(q.mean) + sign * Math.max(deviation, GRIP);
      const visibility = (at < left || at > right) && "hidden";
      const transform = `translate(${at},${BASE})`;
      set(root.querySelector(`[data-handle=${name}]`), { transform, visibility });
    }
    const from = Math.max(x(q.mean) - deviation, left);
    const to = Math.min(x(q.mean) + deviation, right);
    set(root.querySelector(".widget-q-bar"), { d: `M${from},${BASE}H${to}` });
  }

  /** `onMean(z)` and `onDeviation(sd)` hear of every drag. */
  function densityPanel({ onMean, onDeviation }) {
    const root = parse(DENSITIES);
    const y = scale([0, TOP], [BASE, 0]);
    let x = scale(DOMAIN, [LEFT, LEFT + 1]);
    let q = { mean: 0, variance: 1 };

    for (const [name, sign] of Object.entries(SIDES)) {
      let grabbed = 0; // from the pointer to the value it holds, so that pressing moves nothing
      const held = () => x(q.mean + sign * Math.sqrt(q.variance));
      const report = (z) => (sign === 0 ? onMean(z) : onDeviation(sign * (z - q.mean)));
      drag(root.querySelector(`[data-handle=${name}]`), root, {
        start: (at) => (grabbed = held() - at),
        move: (at) => report(x.invert(at + grabbed)),
      });
    }

    function draw(gaussians, width) {
      q = gaussians.q;
      x = scale(DOMAIN, [LEFT, width - RIGHT]);
      drawAxes(root, x, y);
      drawCurves(root, gaussians, x, y);
      placeLabels(root, gaussians, x, y);
      placeHandles(root, q, x);
    }
    return { root, draw };
  }

  /* ---- the budget: ELBO + gap = log p(x), and ELBO + KL(q || prior) = E[log p(x | z)] -------- */

  const NATS = [-10, 0]; // what lies farther left leaves through an arrow
  const BOUND = { y: 28, height: 26 };
  const TERMS = { y: 86, height: 14 };
  const SCALE = { y: 132, gridTop: 24 };

  const budget = (id) => `
    <svg class="widget-plot" height="158" role="img"
         aria-label="Budget in nats: the ELBO, and the gap from its end up to the line log p(x).">
      <defs>${hatch(`${id}-gap`, "gap", 45)}${hatch(`${id}-prior`, "prior", -45)}</defs>
      <g data-part="axis"></g>
      <rect class="widget-q-bound" data-bar="elbo"/>
      <rect class="widget-gap" data-bar="gap" fill="url(#${id}-gap)"/>
      <rect class="widget-q-faint" data-bar="elboAgain"/>
      <rect class="widget-prior-cost" data-bar="klPrior" fill="url(#${id}-prior)"/>
      <path class="widget-q-stem" data-part="elbo"/>
      <path class="widget-posterior" data-part="logEvidence"/>
      <path class="widget-text-line" data-part="logLikelihood"/>
      <path class="widget-q-arrow" data-part="off"/>
      <g text-anchor="middle">
        <text class="widget-label widget-posterior-ink" data-label="logEvidence" y="14"></text>
        <text class="widget-label widget-q-ink" data-label="elbo" y="71"></text>
        <text class="widget-label widget-gap-ink" data-label="gap" y="71"></text>
        <text class="widget-label widget-prior-ink" data-label="klPrior" y="117"></text>
        <text class="widget-label" data-label="logLikelihood" y="117"></text>
      </g>
    </svg>`;

  function drawBars(root, { logLikelihood, elbo, logEvidence }, place) {
    const bar = (name, row, from, to) => {
      const width = Math.max(place(to) - place(from), 0);
      set(root.querySelector(`[data-bar=${name}]`), { ...row, x: place(from), width });
    };
    bar("elbo", BOUND, NATS[0], elbo);
    bar("gap", BOUND, elbo, logEvidence);
    bar("elboAgain", TERMS, NATS[0], elbo);
    bar("klPrior", TERMS, elbo, logLikelihood);
  }

  function drawLines(root, values, x) {
    const draw = (name, d) => set(root.querySelector(`[data-part=${name}]`), { d });
    const outside = (name) => values[name] < NATS[0];
    const line = (name, path) => draw(name, outside(name) ? "" : `M${x(values[name])},${path}`);
    line("elbo", "28V100");
    line("logEvidence", "20V60");
    line("logLikelihood", "82V104");
    const first = outside("elbo") ? `M${LEFT - 4},31v20l-16,-10z` : "";
    const second = outside("logLikelihood") ? `M${LEFT - 4},86v14l-12,-7z` : "";
    draw("off", first + second);
  }

  function writeBudget(root, values, place, width) {
    const label = (name, text, at, align) => {
      const node = root.querySelector(`[data-label=${name}]`);
      node.textContent = `${text} ${format(values[name])}`;
      return { node, at, align };
    };
    const [elbo, evidence, likelihood] = ["elbo", "logEvidence", "logLikelihood"].map(
      (name) => place(values[name]));
    const bounds = [LEFT, width];
    spread([label("logEvidence", "log p(x)", evidence, 0)], bounds);
    const middle = (elbo + evidence) / 2;
    spread([label("elbo", "ELBO", elbo, -1), label("gap", "gap", middle, 0)], bounds);
    spread([label("klPrior", "KL(q ‖ prior)", likelihood, -1),
      label("logLikelihood", "E[log p(x | z)]", likelihood, 1)], bounds);
  }

  function budgetPanel() {
    const root = parse(budget(uniqueId("budget")));
    function draw(values, width) {
      const x = scale(NATS, [LEFT, width - RIGHT]);
      const place = (value) => Math.max(x(value), LEFT);
      root.querySelector("[data-part=axis]").innerHTML = axis(x, [-10, -8, -6, -4, -2, 0], SCALE);
      drawBars(root, values, place);
      drawLines(root, values, x);
      writeBudget(root, values, place, width);
    }
    return { root, draw };
  }

  window.CompanionWidgets.elboPanels = { densityPanel, budgetPanel };
})();
