/* The drawings of the figure "reparameterization": one sample, and the averages of many. */
(() => {
  "use strict";

  const { axis, drag, format, panel, scale, set, spread, ticks } = window.CompanionWidgets;

  const LEFT = 34;
  const RIGHT = 10;

  const path = (points) => (points.length > 0 ? `M${points.join("L")}` : "");
  const point = (x, y) => `${x.toFixed(2)},${y.toFixed(2)}`;

  /** Move the window of a nested drawing and clip what leaves it. */
  const frame = (root, name, left, top, width, height) =>
    set(root.querySelector(`[data-part=${name}]`), {
      x: left, y: top, width, height, viewBox: `${left} ${top} ${width} ${height}` });

  const levels = (values, y, [left, right]) => values.map((value) => `
    <path class="widget-grid" d="M${left},${y(value)}H${right}"/>
    <text class="widget-tick" x="${left - 6}" y="${y(value) + 4}"
          text-anchor="end">${format(value, Number.isInteger(value) ? 0 : 1)}</text>`).join("");

  /* ---- one sample: f above, the density of z below ------------------------------------------- */

  const DOMAIN = [-4.5, 5.5];
  const F = { top: 22, bottom: 160 };
  const Q = { top: 174, bottom: 256, peak: 0.8 };
  const TANGENT = 52; // the length of the arrow, in pixels

  const SAMPLE = `
    <svg class="widget-plot" height="322" role="img"
         aria-label="Above: f(z), with its slope at the sample. Below: the density q(z), with its
           mean m and the sample z.">
      <g data-part="grid"></g>
      <svg data-part="f"><path class="widget-text-line" data-part="curve"/></svg>
      <svg data-part="q"><path class="widget-q-fill"/><path class="widget-q"/></svg>
      <g data-part="axis"></g>
      <path class="widget-guide" data-part="guide"/>
      <path class="widget-pathwise" data-part="tangent"/>
      <path class="widget-q-arrow" data-part="head"/>
      <circle class="widget-sample" r="5" data-part="dot"/>
      <path class="widget-q-bar"/>
      <text class="widget-label widget-q-ink" data-label="slope" y="14" text-anchor="middle"></text>
      <text class="widget-label" data-label="f" x="${LEFT + 8}" y="${F.top + 18}">f(z)</text>
      <text class="widget-label widget-q-ink" data-label="q" x="${LEFT + 8}"
            y="${Q.top + 22}">q(z)</text>
      <text class="widget-label widget-q-ink" data-label="z" y="${Q.bottom + 54}"
            text-anchor="middle"></text>
      <g class="widget-handle" data-handle="mean">
        <rect x="-14" y="-22" width="28" height="44"/><path d="M-6,-10H6V10H-6Z"/></g>
      <g class="widget-handle" data-handle="sample">
        <rect x="-14" y="-22" width="28" height="44"/><circle r="8"/></g>
    </svg>`;

  function density(m, s, x, y) {
    const at = (t) => Math.exp(-0.5 * t * t) / (s * Math.sqrt(2 * Math.PI));
    const places = Array.from({ length: 121 }, (_, i) => (i - 60) / 10);
    return path([-1000, ...places, 1000].map((t) => point(x(m + t * s), y(at(t)))));
  }

  /** f, drawn pixel by pixel: a jump stays a jump. */
  function curve(f, x, y) {
    const [left, right] = x.range;
    const pixels = Array.from({ length: Math.round(right - left) + 1 }, (_, i) => left + i);
    return path(pixels.map((at) => point(at, y(f.value(x.invert(at))))));
  }

  /** The tangent at the sample, as an arrow of fixed length towards greater z. */
  function drawTangent(root, { z, value, pathwise }, x, y) {
    const [dx, dy] = [x(z + 1) - x(z), y(value + pathwise) - y(value)];
    const long = Math.hypot(dx, dy);
    const [ux, uy] = [dx / long, dy / long];
    const [tx, ty] = [x(z) + ux * TANGENT, y(value) + uy * TANGENT];
    const corner = (side) => point(tx - 11 * ux - side * 6 * uy, ty - 11 * uy + side * 6 * ux);
    const draw = (name, d) => set(root.querySelector(`[data-part=${name}]`), { d });
    draw("tangent", path([point(x(z), y(value)), point(tx - 8 * ux, ty - 8 * uy)]));
    draw("head", `${path([point(tx, ty), corner(1), corner(-1)])}Z`);
  }

  function drawSample(root, width, f, { m, eps }, { s, sample }) {
    const x = scale(DOMAIN, [LEFT, width - RIGHT]);
    const y = scale(f.range, [F.bottom, F.top]);
    const inside = y(sample.value) >= F.top;
    const yq = scale([0, Q.peak], [Q.bottom, Q.top]);
    const draw = (selector, d) => set(root.querySelector(selector), { d });
    root.querySelector("[data-part=grid]").innerHTML =
      levels(f.levels, y, x.range) + levels([0.5], yq, x.range);
    root.querySelector("[data-part=axis]").innerHTML =
      `${axis(x, [-4, -3, -2, -1, 0, 1, 2, 3, 4, 5], { y: Q.bottom, labelGap: 28 })}`;
    frame(root, "f", LEFT, F.top - 2, width - LEFT - RIGHT, F.bottom - F.top + 4);
    frame(root, "q", LEFT, Q.top, width - LEFT - RIGHT, Q.bottom - Q.top);
    draw("[data-part=curve]", curve(f, x, y));
    draw(".widget-q", density(m, s, x, yq));
    draw(".widget-q-fill", `${density(m, s, x, yq)}Z`);
    draw("[data-part=guide]", `M${x(sample.z)},${Q.bottom}V${inside ? y(sample.value) : F.top}`);
    draw(".widget-q-bar", `M${x(m)},${Q.bottom}H${x(sample.z)}`);
    for (const name of ["tangent", "head", "dot"]) {
      set(root.querySelector(`[data-part=${name}]`), { visibility: !inside && "hidden" });
    }
    set(root.querySelector("[data-part=dot]"), { cx: x(sample.z), cy: y(sample.value) });
    drawTangent(root, sample, x, y);
    for (const [name, place] of [["mean", m], ["sample", sample.z]]) {
      const transform = `translate(${x(place)},${Q.bottom})`;
      set(root.querySelector(`[data-handle=${name}]`), { transform });
    }
    writeSample(root, x, m, s, eps, sample, [0, width]);
  }

  function writeSample(root, x, m, s, eps, { z, pathwise }, bounds) {
    const write = (name, text) => {
      const node = root.querySelector(`[data-label=${name}]`);
      node.textContent = text;
      spread([{ node, at: x(z), align: 0 }], bounds);
    };
    write("slope", `slope f′(z) = ${format(pathwise, 2)}`);
    const shift = `${eps < 0 ? "−" : "+"} ${format(s, 2)} · ${format(Math.abs(eps), 2)}`;
    write("z", `z = m + σε = ${format(m, 2)} ${shift} = ${format(z, 2)}`);
  }

  /** `onMean(m)` and `onSample(z)` hear of every drag. */
  function samplePanel({ onMean, onSample }) {
    const places = { mean: 0, sample: 0 };
    let x = scale(DOMAIN, [0, 1]);
    const draw = (root, width, f, state, values) => {
      x = scale(DOMAIN, [LEFT, width - RIGHT]);
      Object.assign(places, { mean: state.m, sample: values.sample.z });
      drawSample(root, width, f, state, values);
    };
    const one = panel(SAMPLE, draw);
    for (const [name, report] of [["mean", onMean], ["sample", onSample]]) {
      let grabbed = 0; // from the pointer to the value it holds, so that pressing moves nothing
      drag(one.root.querySelector(`[data-handle=${name}]`), one.root, {
        start: (at) => (grabbed = x(places[name]) - at),
        move: (at) => report(x.invert(at + grabbed)),
      });
    }
    return one;
  }

  /* ---- the running averages of both estimators ----------------------------------------------- */

  const MANY = { top: 10, bottom: 190, draws: [1, 1000] };

  const key = (kind, ink, row) => `
    <g data-row="${row}"><path class="widget-${kind}" data-key="${kind}"/>
      <text class="widget-label widget-${ink}-ink" data-label="${kind}"
            y="${MANY.top + 14 + 19 * row}" text-anchor="end"></text></g>`;

  const AVERAGES = `
    <svg class="widget-plot" height="232" role="img"
         aria-label="Running averages of both estimators against the number of draws, on a log
           scale. Each band is the exact gradient plus and minus one standard error.">
      <g data-part="axis"></g><g data-part="grid"></g>
      <svg data-part="frame">
        <path class="widget-score-band"/><path class="widget-pathwise-band"/>
        <path class="widget-posterior" data-part="exact"/>
        <path class="widget-score" data-part="score"/>
        <path class="widget-pathwise" data-part="pathwise"/>
      </svg>
      <text class="widget-tick" data-part="name" y="${MANY.bottom + 38}"
            text-anchor="middle">number of draws n</text>
      ${key("score", "gap", 0)}${key("pathwise", "q", 1)}${key("posterior", "posterior", 2)}
    </svg>`;

  /** The exact gradient plus and minus one standard error of the average of n draws. */
  function band({ exactSd }, gradient, x, y) {
    const places = Array.from({ length: 61 }, (_, i) => 1000 ** (i / 60));
    const edge = (sign) => places.map((n) =>
      point(x(n), y(gradient + (sign * exactSd) / Math.sqrt(n))));
    return `${path([...edge(1), ...edge(-1).reverse()])}Z`;
  }

  function writeKeys(root, right, values) {
    const last = ({ averages }) => (averages.length > 0 ? format(averages.at(-1)) : "–");
    for (const [kind, text] of [["score", `score function ${last(values.score)}`],
      ["pathwise", `pathwise ${last(values.pathwise)}`],
      ["posterior", `exact ${format(values.gradient)}`]]) {
      const node = root.querySelector(`[data-label=${kind}]`);
      node.textContent = text;
      set(node, { x: right - 34 });
      const y = Number(node.getAttribute("y")) - 4;
      set(root.querySelector(`[data-key=${kind}]`), { d: `M${right - 28},${y}h26` });
    }
  }

  function drawAverages(root, width, values) {
    const { gradient, pathwise, score } = values;
    const right = width - 2 * RIGHT; // the last tick is wide
    const decades = scale(MANY.draws.map(Math.log10), [LEFT, right]);
    const x = Object.assign((n) => decades(Math.log10(n)), { range: decades.range });
    const half = 1.1 * Math.max(pathwise.exactSd, score.exactSd, 0.05); // far from a jump: 0
    const span = [gradient - half, gradient + half];
    const y = scale(span, [MANY.bottom, MANY.top]);
    const draw = (selector, d) => set(root.querySelector(selector), { d });
    root.querySelector("[data-part=grid]").innerHTML = levels(ticks(span, 5), y, x.range);
    root.querySelector("[data-part=axis]").innerHTML =
      axis(x, [1, 10, 100, 1000], { y: MANY.bottom });
    set(root.querySelector("[data-part=name]"), { x: (LEFT + right) / 2 });
    frame(root, "frame", LEFT, MANY.top, right - LEFT, MANY.bottom - MANY.top);
    draw(".widget-score-band", band(score, gradient, x, y));
    draw(".widget-pathwise-band", band(pathwise, gradient, x, y));
    draw("[data-part=exact]", `M${LEFT},${y(gradient)}H${right}`);
    for (const [name, { averages }] of Object.entries({ pathwise, score })) {
      const points = averages.map((average, i) => point(x(i + 1), y(average)));
      draw(`[data-part=${name}]`, path(points));
    }
    writeKeys(root, right, values);
  }

  const averagesPanel = () => panel(AVERAGES, drawAverages);

  window.CompanionWidgets.reparameterizationPanels = { averagesPanel, samplePanel };
})();
