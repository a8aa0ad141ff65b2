/* The drawings of the figure "gan": the plane with the discriminator's field, and two courses over
 * the steps. They know no network.
 */
(() => {
  "use strict";

  const { color, format, onWidth, panel, parse, scale, set, ticks } = window.CompanionWidgets;

  const LIMIT = 1.6;
  const FIELD = 36; // places of the field along an axis
  const N_DRAWN = 300; // points of each kind

  /* ---- the plane ----------------------------------------------------------------------------- */

  /** The centers of the cells of the field, row by row from the top. */
  const CELLS = Float64Array.from({ length: 2 * FIELD * FIELD }, (_, i) => {
    const cell = i >> 1;
    const place = i % 2 === 0 ? cell % FIELD : FIELD - 1 - Math.floor(cell / FIELD);
    return LIMIT * ((2 * place + 1) / FIELD - 1);
  });

  /** Red, green and blue of a color of the palette, #rrggbb. */
  const channels = (hex) => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));

  /** The field as an image: the color of the likelier side, the stronger the surer.
   *
   * The root of the level, for near the equilibrium the discriminator is never sure.
   */
  function shade(image, levels, { real, fake, most }) {
    levels.forEach((level, i) => {
      const strength = Math.round(most * Math.sqrt(Math.min(Math.abs(level), 1)));
      image.data.set([...(level > 0 ? real : fake), strength], 4 * i);
    });
  }

  function drawPoints(context, points, pixels, mark) {
    context.beginPath();
    for (let i = 0; i < 2 * N_DRAWN && i < points.length; i += 2) {
      mark(pixels(points[i]), pixels(-points[i + 1]));
    }
  }

  function planePanel() {
    const root = parse(`<div class="gan-plane"><canvas role="img"></canvas></div>`);
    const canvas = root.firstElementChild;
    const context = canvas.getContext("2d");
    const small = set(document.createElement("canvas"), { width: FIELD, height: FIELD });
    const image = small.getContext("2d").createImageData(FIELD, FIELD);
    let [width, last] = [0, null];

    function draw({ levels, data, samples }) {
      const ratio = window.devicePixelRatio || 1;
      const pixels = (value) => ((value + LIMIT) / (2 * LIMIT)) * width;
      const [real, fake, paper] = ["q", "gap", "paper"].map((role) => color(root, role));
      const most = 255 * Number(getComputedStyle(root).getPropertyValue("--gan-field"));
      shade(image, levels, { real: channels(real), fake: channels(fake), most });
      small.getContext("2d").putImageData(image, 0, 0);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, width);
      context.drawImage(small, 0, 0, width, width);
      drawPoints(context, data, pixels, (x, y) => {
        context.moveTo(x - 3, y);
        context.lineTo(x + 3, y);
        context.moveTo(x, y - 3);
        context.lineTo(x, y + 3);
      });
      Object.assign(context, { strokeStyle: real, lineWidth: 1 });
      context.stroke();
      drawPoints(context, samples, pixels, (x, y) => {
        context.moveTo(x + 3, y);
        context.arc(x, y, 3, 0, 2 * Math.PI);
      });
      Object.assign(context, { strokeStyle: paper, fillStyle: fake, lineWidth: 1.5 });
      context.stroke();
      context.fill();
    }

    const paint = () => width > 0 && last && draw(last);
    onWidth(root, (now) => {
      width = now;
      const size = Math.round(now * (window.devicePixelRatio || 1));
      set(canvas, { width: size, height: size });
      paint();
    });
    const show = (state) => {
      last = state;
      paint();
    };
    return { root, show, paint, describe: (text) => set(canvas, { "aria-label": text }) };
  }

  /* ---- courses over the steps ------------------------------------------------------------------ */

  const [LEFT, TOP, RIGHT, HEIGHT, BOTTOM] = [44, 8, 12, 104, 38];

  function frame(x, y, yTicks, words) {
    const [left, right] = x.range;
    const base = TOP + HEIGHT;
    const across = (value) => `
      <path class="widget-grid" d="M${left},${y(value)}H${right}"/>
      <text class="widget-tick" x="${left - 6}" y="${y(value) + 4}"
            text-anchor="end">${words(value)}</text>`;
    const along = (value) => `
      <path class="widget-axis" d="M${x(value)},${base}v5"/>
      <text class="widget-tick" x="${x(value)}" y="${base + 20}"
            text-anchor="middle">${format(value, 0)}</text>`;
    const steps = ticks([0, x.invert(right)], 4).filter((value) => x(value) < right - 14);
    return `${yTicks.map(across).join("")}${steps.map(along).join("")}
      <path class="widget-axis" d="M${left},${base}H${right}"/>
      <text class="widget-tick" x="${right}" y="${base + 35}" text-anchor="end">steps</text>`;
  }

  /** A path through pairs of a step and a value; never more corners than there are pixels. */
  function course(points, key, x, y) {
    const stride = Math.max(1, Math.floor(points.length / 200));
    const kept = points.filter((_, i) => i % stride === 0 || i === points.length - 1);
    const spot = (point) => `${x(point.step).toFixed(1)},${y(point[key]).toFixed(1)}`;
    return kept.length > 0 ? `M${kept.map(spot).join("L")}` : "";
  }

  /** A chart of two courses: `first` in one line, `second` in dashes. */
  function chart(name, [first, second], bounds, words) {
    const markup = `<svg class="widget-plot" height="${TOP + HEIGHT + BOTTOM}" role="img"
      aria-label="${name}"><g data-part="axes" aria-hidden="true"></g>
      <path class="gan-first"/><path class="gan-second"/></svg>`;
    return panel(markup, (root, width, points) => {
      const end = Math.max(500, points.at(-1)?.step ?? 0);
      const [low, high] = bounds(points);
      const x = scale([0, end], [LEFT, width - RIGHT]);
      const y = scale([low, high], [TOP + HEIGHT, TOP]);
      root.querySelector("[data-part=axes]").innerHTML =
        frame(x, y, ticks([low, high], 4), words);
      set(root.querySelector(".gan-first"), { d: course(points, first, x, y) });
      set(root.querySelector(".gan-second"), { d: course(points, second, x, y) });
    });
  }

  /** Bounds of the losses, with 0 inside and never closer than a half. */
  function lossBounds(points) {
    const values = points.flatMap(({ gLoss, dLoss }) => [gLoss, dLoss]).filter(Number.isFinite);
    if (values.length === 0) return [0, 2];
    const low = Math.min(0, ...values);
    const high = Math.max(...values);
    return [low, Math.max(high, low + 0.5)];
  }

  const lossChart = () => chart("Losses of both players over the steps", ["dLoss", "gLoss"],
    lossBounds, (value) => format(value, 1));

  const countChart = () => chart("Share of the modes that are filled, and share of samples of " +
    "high quality, over the steps", ["filled", "quality"], () => [0, 1],
  (value) => `${format(100 * value, 0)} %`);

  const key = (kind, words) => `<span><svg class="gan-key" width="26" height="12"
    viewBox="0 0 26 12" aria-hidden="true">${kind}</svg> ${words}</span>`;
  const legend = (...keys) => parse(`<p class="gan-legend">${keys.join(" ")}</p>`);
  const LINE = { first: '<path class="gan-first" d="M1,6H25"/>',
    second: '<path class="gan-second" d="M1,6H25"/>' };

  const planeLegend = () => legend(
    key('<path class="gan-cross" d="M9,6h8M13,2v8"/>', "data"),
    key('<circle class="gan-dot" cx="13" cy="6" r="4"/>', "generated"),
    key('<path class="gan-side-real" d="M0,0h26v12h-26z"/>', "judged data"),
    key('<path class="gan-side-fake" d="M0,0h26v12h-26z"/>', "judged generated"));
  const lossLegend = () => legend(key(LINE.first, "discriminator"),
    key(LINE.second, "generator"));
  const countLegend = () => legend(key(LINE.first, "modes filled"),
    key(LINE.second, "high quality"));

  window.CompanionWidgets.ganShow = { CELLS, N_DRAWN, countChart, countLegend, lossChart,
    lossLegend, planeLegend, planePanel };
})();
