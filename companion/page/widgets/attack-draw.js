/* The drawing pad of the figure "attack": a pointer draws, or the keyboard moves a brush. */
(() => {
  "use strict";

  const { button, parse, set } = window.CompanionWidgets;

  const SIDE = 28;
  const REACH = 1.9; // of the brush, in pixels; strokes of MNIST are about as wide
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const CENTER = [13, 13];

  /** Draw the numbers from 0 to 1 of a picture as gray values. */
  function paint(canvas, values) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(SIDE, SIDE);
    values.forEach((value, i) => {
      const gray = Math.round(255 * value);
      image.data.set([gray, gray, gray, 255], 4 * i);
    });
    context.putImageData(image, 0, 0);
  }

  /** A picture with a soft spot at a place; a negative ink erases. */
  function spot(picture, [column, row], ink = 1) {
    return picture.map((value, i) => {
      const distance = Math.hypot((i % SIDE) - column, Math.floor(i / SIDE) - row);
      const strength = Math.min(Math.max(REACH - distance, 0), 1);
      return ink > 0 ? Math.max(value, strength) : Math.min(value, 1 - strength);
    });
  }

  /** Spots along a line, dense enough to make a stroke. */
  function stroke(picture, from, to) {
    const count = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])));
    let drawn = picture;
    for (let i = 0; i <= count; i += 1) {
      drawn = spot(drawn, from.map((value, axis) => value + i / count * (to[axis] - value)));
    }
    return drawn;
  }

  /** The picture shifted by whole pixels, so that its center of mass lies in the middle. */
  function centered(picture) {
    const total = picture.reduce((a, b) => a + b, 0);
    if (total === 0) return picture;
    const mean = (place) => picture.reduce((sum, value, i) => sum + value * place(i), 0) / total;
    const [right, down] = [(i) => i % SIDE, (i) => Math.floor(i / SIDE)].map((place) =>
      Math.round((SIDE - 1) / 2 - mean(place)));
    return picture.map((_, i) => {
      const [column, row] = [(i % SIDE) - right, Math.floor(i / SIDE) - down];
      const inside = column >= 0 && column < SIDE && row >= 0 && row < SIDE;
      return inside ? picture[row * SIDE + column] : 0;
    });
  }

  /** The pad shows the picture; while it is open, `onDraw(picture)` hears of each change.
   *
   * `say(text)` speaks where the brush is.
   */
  function drawingPad(onDraw, say) {
    const element = parse(`<div class="attack-pad-place">
      <div class="attack-pad"><canvas width="${SIDE}" height="${SIDE}"></canvas>
        <span class="attack-guide" hidden></span><span class="attack-brush" hidden></span></div>
      <div class="widget-buttons"></div></div>`);
    const [pad, guide, brush] = [".attack-pad", ".attack-guide", ".attack-brush"].map((name) =>
      element.querySelector(name));
    let [picture, open, place, last] = [new Float64Array(SIDE ** 2), false, CENTER, null];
    const clear = button("Clear", () => open && onDraw(new Float64Array(SIDE ** 2)));
    const center = button("Center it", () => open && onDraw(centered(picture)));
    element.querySelector(".widget-buttons").append(clear, center);

    const move = (to) => {
      place = to.map((value) => Math.min(Math.max(value, 0), SIDE - 1));
      brush.style.left = `${(place[0] + 0.5) / SIDE * 100}%`;
      brush.style.top = `${(place[1] + 0.5) / SIDE * 100}%`;
    };
    const local = (event) => {
      const { left, top, width } = pad.querySelector("canvas").getBoundingClientRect();
      return [event.clientX - left, event.clientY - top].map((pixel) => pixel / width * SIDE - 0.5);
    };

    pad.addEventListener("pointerdown", (event) => {
      if (!open || event.button !== 0) return;
      event.preventDefault();
      pad.setPointerCapture(event.pointerId);
      pad.focus({ preventScroll: true });
      last = local(event);
      move(last.map(Math.round));
      onDraw(spot(picture, last));
    });
    pad.addEventListener("pointermove", (event) => {
      if (!last || !pad.hasPointerCapture(event.pointerId)) return;
      const now = local(event);
      move(now.map(Math.round));
      onDraw(stroke(picture, last, now));
      last = now;
    });
    for (const name of ["pointerup", "pointercancel"]) {
      pad.addEventListener(name, () => (last = null));
    }
    // Not every browser honors touch-action: this too keeps the page from scrolling.
    pad.addEventListener("touchstart", (event) => open && event.preventDefault(),
      { passive: false });

    pad.addEventListener("keydown", (event) => {
      if (!open || event.altKey || event.ctrlKey || event.metaKey) return;
      const arrow = ARROWS[event.key];
      const inks = { " ": 1, Backspace: -1, Delete: -1 };
      if (!arrow && !inks[event.key]) return;
      event.preventDefault();
      const from = place;
      if (arrow) move(place.map((value, axis) => value + arrow[axis]));
      if (arrow && event.shiftKey) onDraw(stroke(picture, from, place));
      if (!arrow) onDraw(spot(picture, place, inks[event.key]));
      const painted = picture[place[1] * SIDE + place[0]] > 0.5 ? "painted" : "empty";
      say(`Column ${place[0] + 1}, row ${place[1] + 1}, ${painted}.`);
    });

    function show(values, drawing) {
      [picture, open] = [values, drawing];
      paint(pad.querySelector("canvas"), values);
      // Only an open pad is a control; a closed one is a picture.
      set(pad, drawing
        ? { tabindex: "0", role: "application", "aria-roledescription": "drawing pad",
          "aria-label": `Drawing pad of ${SIDE} by ${SIDE} pixels. Arrow keys move the brush, space
            paints, Shift with an arrow key draws a line, Delete erases.` }
        : { tabindex: null, role: "img", "aria-roledescription": null,
          "aria-label": "The digit before the attack" });
      pad.classList.toggle("attack-pad-open", drawing);
      guide.hidden = brush.hidden = !drawing;
      for (const each of [clear, center]) set(each, { "aria-disabled": String(!drawing) });
    }
    move(CENTER);
    return { element, show };
  }

  window.CompanionWidgets.attackDraw = { SIDE, centered, drawingPad, paint, spot, stroke };
})();
