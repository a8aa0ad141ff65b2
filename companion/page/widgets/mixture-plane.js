/* The drawings of the figure "mixture": the plane of codes with its components, and the samples. */
(() => {
  "use strict";

  const { axis, drag, format, mixtureContours, mixtureModel, panel, scale, set } =
    window.CompanionWidgets;
  const { logDensity, widthOf } = mixtureModel;

  const LIMIT = 3.8;
  const GRID = 72;
  const LEVELS = [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28];
  const TICKS = [-3, -2, -1, 0, 1, 2, 3];
  const [LEFT, TOP, RIGHT, BOTTOM] = [32, 6, 12, 38]; // as much across as down: CSS makes it square

  /** A place for the axes, and a frame that clips what leaves it. */
  const paper = (attributes, inside, outside = "") => `
    <svg class="widget-plot mixture-square" ${attributes}>
      <g data-part="axes" aria-hidden="true"></g>
      <svg data-part="frame">${inside}</svg>${outside}
    </svg>`;

  function scales(width) {
    const size = width - LEFT - RIGHT;
    const x = scale([-LIMIT, LIMIT], [LEFT, LEFT + size]);
    const y = scale([-LIMIT, LIMIT], [TOP + size, TOP]);
    return { x, y, size, unit: size / (2 * LIMIT) };
  }

  function drawAxes(root, width, { x, y, size }) {
    const base = TOP + size;
    const left = (value) => `
      <path class="widget-grid" d="M${LEFT},${y(value)}h${size}"/>
      <text class="widget-tick" x="${LEFT - 6}" y="${y(value) + 4}"
            text-anchor="end">${format(value, 0)}</text>`;
    root.querySelector("[data-part=axes]").innerHTML = `
      ${TICKS.map(left).join("")}${axis(x, TICKS, { y: base, gridTop: TOP })}
      <text class="widget-tick widget-math" x="${x(0)}" y="${base + BOTTOM - 3}"
            text-anchor="middle">z₁</text>
      <text class="widget-tick widget-math" x="4" y="${y(0.5) + 4}">z₂</text>`;
    set(root.querySelector("[data-part=frame]"), {
      x: LEFT, y: TOP, width: size, height: size, viewBox: `${LEFT} ${TOP} ${size} ${size}` });
  }

  const dots = (points, { x, y }, radius) => points.map(([a, b]) =>
    `M${(x(a) - radius).toFixed(1)},${y(b).toFixed(1)}a${radius},${radius} 0 1,0 ${2 * radius},0` +
    `a${radius},${radius} 0 1,0 ${-2 * radius},0`).join("");

  /* ---- the plane: codes, contours, and a knob for every component ---------------------------- */

  const PLANE = paper(`role="group" aria-label="The plane of codes. Dots: the codes. Contours: the
      density of the mixture. Ellipses: one standard deviation of each component."`,
    '<g data-part="density"></g><path class="widget-codes"/><g data-part="ellipses"></g>',
    '<g data-part="knobs"></g>');

  const knob = (k) => `
    <g class="widget-knob" data-knob="${k}" tabindex="0" role="button">
      <circle class="widget-knob-reach" r="22"/><circle class="widget-knob-face" r="11"/>
      <text text-anchor="middle" y="5" data-label="knob-${k}">${k + 1}</text></g>`;

  function drawDensity(root, mixture, { x, y }) {
    const table = mixtureContours.tabulate(logDensity(mixture), LIMIT, GRID);
    const spot = ([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`;
    const path = (level) => mixtureContours.contours(table, LIMIT, GRID, Math.log(level))
      .map((loop) => `M${loop.map(spot).join("L")}Z`).join("");
    root.querySelector("[data-part=density]").innerHTML =
      LEVELS.map((level) => `<path class="widget-density" d="${path(level)}"/>`).join("");
  }

  /** The ellipse of one standard deviation: the circle under the Cholesky factor. */
  function ellipse({ mean: [ma, mb], cov: [aa, ab, bb] }, { x, y }) {
    const first = Math.sqrt(aa);
    const [lower, second] = [ab / first, Math.sqrt(bb - (ab * ab) / aa)];
    const spot = (_, i) => {
      const [cos, sin] = [Math.cos((i * Math.PI) / 40), Math.sin((i * Math.PI) / 40)];
      return `${x(ma + first * cos).toFixed(1)},${y(mb + lower * cos + second * sin).toFixed(1)}`;
    };
    return `M${Array.from({ length: 80 }, spot).join("L")}Z`;
  }

  const describe = (component, k) => `Component ${k + 1}: mean ${format(component.mean[0], 2)}, ` +
    `${format(component.mean[1], 2)}, width ${format(widthOf(component), 2)}, ` +
    `weight ${format(component.weight, 2)}`;

  function drawComponents(root, mixture, selected, places) {
    const { x, y } = places;
    root.querySelector("[data-part=ellipses]").innerHTML = mixture.map((each, k) => `
      <path class="widget-ellipse" data-selected="${k === selected}"
            d="${ellipse(each, places)}"/>`).join("");
    const inside = (value) => Math.min(Math.max(value, -LIMIT), LIMIT);
    root.querySelectorAll("[data-knob]").forEach((node, k) => {
      const [a, b] = mixture[k].mean.map(inside);
      set(node, { transform: `translate(${x(a)},${y(b)})`, "aria-label": describe(mixture[k], k),
        "aria-pressed": String(k === selected) });
    });
  }

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
  const WIDER = { "+": 1, "=": 1, "-": -1 };

  /** A knob calls `onSelect(k)`, `onMove(k, place)`, `onNudge(k, steps)`, `onWiden(k, steps)`. */
  function equip(node, k, root, now, { onSelect, onMove, onNudge, onWiden }) {
    let grabbed = [0, 0];
    const { mixture, x, y } = now;
    drag(node, root, {
      start(left, top) {
        onSelect(k);
        node.focus({ preventScroll: true });
        const [a, b] = mixture()[k].mean;
        grabbed = [x()(a) - left, y()(b) - top];
      },
      move: (left, top) =>
        onMove(k, [x().invert(left + grabbed[0]), y().invert(top + grabbed[1])]),
    });
    node.addEventListener("focus", () => onSelect(k));
    node.addEventListener("click", () => onSelect(k));
    node.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key in ARROWS) onNudge(k, ARROWS[event.key]);
      else if (event.key in WIDER) onWiden(k, WIDER[event.key]);
      else if (event.key === "Enter" || event.key === " ") onSelect(k);
      else return;
      event.preventDefault(); // the page stays where it is
    });
  }

  function planePanel(actions) {
    let [mixture, places] = [[], scales(100)];
    const now = { mixture: () => mixture, x: () => places.x, y: () => places.y };

    /** As many knobs as components; those that stay keep their focus. */
    function match(root, count) {
      const group = root.querySelector("[data-part=knobs]");
      while (group.childElementCount > count) group.lastElementChild.remove();
      for (let k = group.childElementCount; k < count; k += 1) {
        group.insertAdjacentHTML("beforeend", knob(k));
        equip(group.lastElementChild, k, root, now, actions);
      }
    }

    function draw(root, width, state) {
      [mixture, places] = [state.mixture, scales(width)];
      drawAxes(root, width, places);
      match(root, mixture.length);
      drawDensity(root, mixture, places);
      set(root.querySelector(".widget-codes"), { d: dots(state.codes, places, 1.6) });
      drawComponents(root, mixture, state.selected, places);
    }
    return panel(PLANE, draw);
  }

  /* ---- the samples --------------------------------------------------------------------------- */

  const SAMPLES = paper('role="img" aria-label="Samples from the mixture, as many as codes."',
    '<path class="widget-samples"/>');

  function samplePanel() {
    return panel(SAMPLES, (root, width, samples) => {
      const places = scales(width);
      drawAxes(root, width, places);
      set(root.querySelector(".widget-samples"), { d: dots(samples, places, 1.6) });
    });
  }

  window.CompanionWidgets.mixturePlane = { LIMIT, planePanel, samplePanel };
})();
