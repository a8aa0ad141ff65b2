/* The drawing of the figure "latent": a plane of codes, a legend, a point to drag. */
(() => {
  "use strict";

  const { axis, drag, format, parse, scale, set } = window.CompanionWidgets;

  const LIMIT = 3.5; // the plane is [-LIMIT, LIMIT] squared
  const TICKS = [-3, -2, -1, 0, 1, 2, 3];
  // The margins add up to the same both ways: the drawing is square, as its CSS says.
  const LEFT = 38;
  const RIGHT = 12;
  const TOP = 8;
  const BOTTOM = 42;
  const RINGS = [1, 2, 3];
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const STEP = 0.1; // of an arrow key; with Shift it is five times as long
  const CLASSES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

  const plane = (count) => `
    <svg class="widget-plot latent-plane" role="group" aria-label="The latent plane">
      <g data-part="axes" aria-hidden="true"></g>
      <g data-part="rings">
        ${RINGS.map((radius) => `<circle class="latent-ring" data-radius="${radius}"/>`).join("")}
      </g>
      <g data-part="codes" role="img" aria-label="Mean codes of ${count} test digits, drawn as
        digits in the color of their class; dotted circles of radius 1, 2 and 3."></g>
      <rect class="latent-field" data-part="field"/>
      <g class="widget-handle latent-handle" data-handle="code" tabindex="0" role="slider"
         aria-roledescription="point in a plane" aria-label="Code z; all four arrow keys move it"
         aria-valuemin="${-LIMIT}" aria-valuemax="${LIMIT}">
        <circle class="latent-target" r="22"/>
        <circle class="latent-halo" r="11"/><circle class="latent-knob" r="11"/>
        <path class="latent-cross" d="M-5,0H5M0,-5V5"/>
      </g>
    </svg>`;

  function drawAxes(root, x, y) {
    const [left, right] = x.range;
    const [bottom, top] = y.range;
    const row = (value) => `
      <path class="widget-grid" d="M${left},${y(value)}H${right}"/>
      <path class="widget-axis" d="M${left - 5},${y(value)}h5"/>
      <text class="widget-tick" x="${left - 9}" y="${y(value) + 4}"
            text-anchor="end">${format(value, 0)}</text>`;
    root.querySelector("[data-part=axes]").innerHTML = `
      ${axis(x, TICKS, { y: bottom, gridTop: top })}${TICKS.map(row).join("")}
      <path class="widget-axis" d="M${left},${top}V${bottom}"/>
      <text class="widget-tick widget-math" x="${(left + right) / 2}" y="${bottom + 39}"
            text-anchor="middle">z₁</text>
      <text class="widget-tick widget-math" x="8" y="${(top + bottom) / 2 + 18}">z₂</text>`;
    const place = { x: left, y: top, width: right - left, height: bottom - top };
    set(root.querySelector("[data-part=field]"), place);
  }

  const mark = ({ label }) => `<text class="latent-code" data-class="${label}">${label}</text>`;

  /** Let mouse, finger and arrow keys move the point; `onMove(z)` hears of it. */
  function listen(root, handle, held, invert, onMove) {
    let grabbed = [0, 0]; // from the pointer to the point, so that pressing moves nothing
    drag(handle, root, {
      start: (x, y) => {
        grabbed = [held()[0] - x, held()[1] - y];
        handle.focus({ preventScroll: true });
      },
      move: (x, y) => onMove(invert(x + grabbed[0], y + grabbed[1])),
    });
    const field = root.querySelector("[data-part=field]");
    const jump = (event) => {
      const { left, top } = root.getBoundingClientRect();
      onMove(invert(event.clientX - left, event.clientY - top));
      grabbed = [0, 0];
    };
    // A mouse takes the point from where it presses; a finger there may want to scroll the page.
    field.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "touch" || event.button !== 0) return;
      event.preventDefault();
      jump(event);
      handle.setPointerCapture(event.pointerId);
      handle.focus({ preventScroll: true });
    });
    field.addEventListener("click", jump);
    handle.addEventListener("keydown", (event) => {
      const arrow = ARROWS[event.key];
      if (!arrow || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const step = event.shiftKey ? 5 * STEP : STEP;
      onMove(null, arrow.map((direction) => direction * step));
    });
  }

  /** `codes` are `{z, label}`; `onMove(z, by)` hears of a new place, or of a step. */
  function latentPlane(codes, onMove) {
    const root = parse(plane(codes.length));
    const group = root.querySelector("[data-part=codes]");
    const handle = root.querySelector("[data-handle=code]");
    group.innerHTML = codes.map(mark).join("");
    let x = scale([-LIMIT, LIMIT], [LEFT, LEFT + 1]);
    let y = scale([-LIMIT, LIMIT], [TOP + 1, TOP]);
    let z = [0, 0];
    const held = () => [x(z[0]), y(z[1])];
    listen(root, handle, held, (px, py) => [x.invert(px), y.invert(py)], onMove);

    function place(code, text) {
      z = code;
      set(handle, { transform: `translate(${x(z[0])},${y(z[1])})` });
      set(handle, { "aria-valuenow": z[0].toFixed(2), "aria-valuetext": text });
    }

    function resize(width) {
      const side = width - LEFT - RIGHT;
      x = scale([-LIMIT, LIMIT], [LEFT, LEFT + side]);
      y = scale([-LIMIT, LIMIT], [TOP + side, TOP]);
      drawAxes(root, x, y);
      for (const ring of root.querySelectorAll(".latent-ring")) {
        set(ring, { cx: x(0), cy: y(0), r: x(Number(ring.dataset.radius)) - x(0) });
      }
      [...group.children].forEach((node, i) =>
        set(node, { x: x(codes[i].z[0]).toFixed(1), y: y(codes[i].z[1]).toFixed(1) }));
    }

    /** Draw one class only; `null` draws all. */
    function only(label) {
      for (const node of group.children) {
        node.classList.toggle("latent-faint", label !== null && node.dataset.class !== label);
      }
    }
    return { root, place, resize, only };
  }

  /** A button for each class; pressing one shows it alone, pressing it again shows all. */
  function latentLegend(onOnly) {
    const element = parse('<div class="latent-legend" role="group" aria-label="Classes"></div>');
    element.append(parse('<span class="latent-legend-title">Show only</span>'));
    let chosen = null;
    for (const label of CLASSES.map(String)) {
      const button = parse(`<button type="button" data-class="${label}" aria-pressed="false"
        aria-label="Show only class ${label}">${label}</button>`);
      button.addEventListener("click", () => {
        chosen = chosen === label ? null : label;
        for (const node of element.querySelectorAll("button")) {
          set(node, { "aria-pressed": String(node.dataset.class === chosen) });
        }
        onOnly(chosen);
      });
      element.append(button);
    }
    return element;
  }

  window.CompanionWidgets.latentPlane = { LIMIT, latentPlane, latentLegend };
})();
