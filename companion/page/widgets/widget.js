/* What the interactive figures share: elements, sliders, scales, dragging, announcements.
 *
 * A figure is `<div class="widget" data-widget="NAME">` with a fallback paragraph inside. Its
 * script calls `CompanionWidgets.define("NAME", build, api)`; `build(root)` returns the nodes that
 * replace the fallback. Load this file before the figures. No dependency, no network.
 */
(() => {
  "use strict";

  let lastId = 0;

  const uniqueId = (prefix) => `widget-${prefix}-${(lastId += 1)}`;

  /** Set attributes; `false`, `null` and `undefined` remove one. Return the node. */
  function set(node, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
      if (value === false || value == null) node.removeAttribute(name);
      else node.setAttribute(name, value === true ? "" : value);
    }
    return node;
  }

  /** The element that a piece of markup describes; inline SVG is welcome in it. */
  function parse(markup) {
    const template = document.createElement("template");
    template.innerHTML = markup.trim();
    return template.content.firstElementChild;
  }

  /** A number with a true minus sign and never "−0.000". */
  function format(value, digits = 3) {
    const text = Math.abs(value).toFixed(digits);
    return value < 0 && Number(text) !== 0 ? `−${text}` : text;
  }

  /** A native range input with its label and its value; `describe(value)` words the value.
   *
   * `set(value)` moves the knob to the nearest step but shows the exact value.
   */
  function slider({ label, min, max, step, describe, onInput }) {
    const id = uniqueId("slider");
    // The browser speaks aria-valuetext; a live region would say the value twice.
    const element = parse(`<div class="widget-slider">
      <label for="${id}">${label}</label> <output for="${id}" aria-live="off"></output>
      <input type="range" id="${id}" min="${min}" max="${max}" step="${step}"></div>`);
    const input = element.querySelector("input");
    input.addEventListener("input", () => onInput(input.valueAsNumber));
    const show = (value) => {
      input.value = String(value);
      element.querySelector("output").textContent = describe(value);
      set(input, { "aria-valuetext": describe(value) });
    };
    return { element, set: show };
  }

  /** A native list of choices with its label; `options` are pairs of a value and its words. */
  function choice({ label, options, onInput }) {
    const id = uniqueId("choice");
    const items = options.map(([value, words]) => `<option value="${value}">${words}</option>`);
    const element = parse(`<div class="widget-choice"><label for="${id}">${label}</label>
      <select id="${id}">${items.join("")}</select></div>`);
    const input = element.querySelector("select");
    input.addEventListener("input", () => onInput(input.value));
    return { element, set: (value) => (input.value = value) };
  }

  /** The step of a slider that is nearest to a value. */
  function snap(value, { min, max, step }) {
    const inside = Math.min(Math.max(value, min), max);
    return Number((Math.round(inside / step) * step).toFixed(6));
  }

  function button(label, onClick) {
    const node = parse(`<button type="button" class="widget-button">${label}</button>`);
    node.addEventListener("click", onClick);
    return node;
  }

  /** A linear scale from data to pixels, with its inverse. */
  function scale([from, to], [start, end]) {
    const slope = (end - start) / (to - from);
    const map = (value) => start + (value - from) * slope;
    map.invert = (pixel) => from + (pixel - start) / slope;
    map.range = [start, end];
    return map;
  }

  /** Round values between two bounds, about `count` of them. */
  function ticks([low, high], count) {
    const wish = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(wish));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= wish * 0.999);
    const first = Math.ceil(low / step);
    const length = Math.floor(high / step) - first + 1;
    return Array.from({ length }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  }

  /** Place the labels of one row, in order: as wished, but never overlapping, inside [low, high].
   *
   * An item is `{node, at, align}`: an SVG text with text-anchor "middle", a place, and whether the
   * label ends there (-1), is centered there (0) or begins there (1).
   */
  function spread(items, [low, high], gap = 12) {
    const halves = items.map(({ node }) => node.getComputedTextLength() / 2);
    const places = items.map(({ at, align }, i) => at + align * (halves[i] + gap / 2));
    let edge = low - gap;
    places.forEach((place, i) => {
      places[i] = Math.max(place, edge + gap + halves[i]);
      edge = places[i] + halves[i];
    });
    edge = high + gap;
    for (let i = places.length - 1; i >= 0; i -= 1) {
      places[i] = Math.min(places[i], edge - gap - halves[i]);
      edge = places[i] - halves[i];
    }
    items.forEach(({ node }, i) => set(node, { x: places[i] }));
  }

  /** Markup of a horizontal axis at height y; grid lines rise to `gridTop` where it is given. */
  function axis(x, values, { y, gridTop = y, labelGap = 21 }) {
    const tick = (value) => `
      <path class="widget-grid" d="M${x(value)},${gridTop}V${y}"/>
      <path class="widget-axis" d="M${x(value)},${y}v5"/>
      <text class="widget-tick" x="${x(value)}" y="${y + labelGap}"
            text-anchor="middle">${format(value, 0)}</text>`;
    const [left, right] = x.range;
    return `${values.map(tick).join("")}<path class="widget-axis" d="M${left},${y}H${right}"/>`;
  }

  /** Markup of a hatched fill in the color of a role; use it as `fill="url(#id)"`. */
  const hatch = (id, role, lean) => `
    <pattern id="${id}" width="6" height="6" patternUnits="userSpaceOnUse"
             patternTransform="rotate(${lean})">
      <rect class="widget-${role}-wash" width="6" height="6"/>
      <path class="widget-${role}-hatch" d="M0,0V6"/>
    </pattern>`;

  /** Drag with mouse, pen or finger: `start(x, y)` and then `move(x, y)`, in pixels of `frame`. */
  function drag(handle, frame, { start, move }) {
    const local = (event) => {
      const { left, top } = frame.getBoundingClientRect();
      return [event.clientX - left, event.clientY - top];
    };
    handle.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault(); // no text selection while dragging
      handle.setPointerCapture(event.pointerId);
      start(...local(event));
    });
    // Not every browser honors touch-action inside an SVG: this too keeps the page from scrolling.
    handle.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    handle.addEventListener("pointermove", (event) => {
      if (handle.hasPointerCapture(event.pointerId)) move(...local(event));
    });
  }

  /** A hidden live region that speaks once the values have been at rest for `delay` ms. */
  function announcer(delay = 700) {
    const element = parse('<p class="widget-hidden" role="status" aria-live="polite"></p>');
    let timer = 0;
    const say = (text) => {
      clearTimeout(timer);
      timer = setTimeout(() => (element.textContent = text), delay);
    };
    return { element, say };
  }

  /** Call `draw(width)` now and whenever the width of `element` changes. */
  function onWidth(element, draw) {
    let width = 0;
    new ResizeObserver(([entry]) => {
      const now = Math.round(entry.contentRect.width);
      if (now > 0 && now !== width) draw((width = now));
    }).observe(element);
  }

  /** Run `step(t)` for t from 0 to 1, or only `step(1)` where the reader wants no motion.
   *
   * Return a function that stops it.
   */
  function animate(step, duration = 450) {
    let frame = 0;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begin = performance.now();
    const tick = (now) => {
      const t = still ? 1 : Math.min(Math.max((now - begin) / duration, 0), 1);
      step(t === 1 ? 1 : t * t * (3 - 2 * t));
      if (t < 1) frame = requestAnimationFrame(tick);
    };
    tick(begin);
    return () => cancelAnimationFrame(frame);
  }

  /** Uniform numbers in (0, 1), the same after every call with the same seed (mulberry32). */
  function uniforms(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
    };
  }

  /** Standard normal numbers from a source of uniform ones (Box and Muller). */
  function normals(uniform) {
    return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  /** The current theme's color of a role of widgets.css, such as "q" or "gap". */
  const color = (element, role) =>
    getComputedStyle(element).getPropertyValue(`--widget-${role}`).trim();

  /** A panel that redraws by `draw(root, width, ...last)` whenever it is shown or resized. */
  function panel(markup, draw) {
    const root = parse(markup);
    let [width, last] = [0, null];
    const paint = () => width > 0 && last && draw(root, width, ...last);
    onWidth(root, (now) => {
      width = now;
      paint();
    });
    const show = (...values) => {
      last = values;
      paint();
    };
    return { root, show };
  }

  /** Fill every figure called `name`; the fallback stays where `build` fails. */
  function define(name, build, api = {}) {
    window.CompanionWidgets[name] = api;
    const fill = () => {
      const roots = document.querySelectorAll(`div.widget[data-widget="${name}"]`);
      for (const root of roots) {
        if (root.dataset.ready === undefined) root.replaceChildren(...build(root));
        root.dataset.ready = "";
      }
    };
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", fill);
    else fill();
  }

  window.CompanionWidgets = {
    animate, announcer, axis, button, choice, color, define, drag, format, hatch, normals, onWidth,
    panel, parse, scale, set, slider, snap, spread, ticks, uniforms, uniqueId,
  };
})();
