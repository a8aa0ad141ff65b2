/* What the figure "attack" shows of each network: two pictures, the probabilities, a table. */
(() => {
  "use strict";

  const {
    attackDraw, attackModel, button, format, panel, parse, scale, set,
  } = window.CompanionWidgets;
  const { SIDE, paint } = attackDraw;
  const { NORMS, argmax, length, minus } = attackModel;

  const TITLES = { natural: "Natural network", robust: "Robust network" };
  const STEPS = [1, 2, 3, 5, 20, 40];
  const CLASSES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
  const LEAST = 0.005; // a smaller probability has no bar
  const HEIGHT = 158;
  const [LEFT, TOP, BOTTOM] = [34, 22, 128];

  const percent = (share) => (share > 0.995 ? "over 99 %" : `${format(100 * share, 0)} %`);

  /** What a network reads before and after, in words. */
  function words(name, label, { before, after }) {
    const [first, then] = [before, after].map(argmax);
    const sure = `(${percent(after[then])})`;
    const early = first === label ? "" : ", wrong from the start";
    const read = first === then ? `${first} before and after ${sure}`
      : `${first} before, ${then} after ${sure}`;
    return `${TITLES[name]}: ${read}${early}.`;
  }

  /* ---- the probabilities as bars ------------------------------------------------------------- */

  function drawBars(root, width, { before, after }, label) {
    const y = scale([0, 1], [BOTTOM, TOP]);
    const slot = (width - LEFT) / CLASSES.length;
    const bar = Math.min(slot * 0.4, 14);
    const middle = (k) => LEFT + slot * (k + 0.5);
    const grid = [0, 0.5, 1].map((share) => `
      <path class="widget-grid" d="M${LEFT},${y(share)}H${width}"/>
      <text class="widget-tick" x="${LEFT - 5}" y="${y(share) + 4}"
            text-anchor="end">${100 * share}</text>`);
    const rect = (share, x, kind) => (share < LEAST ? "" : `<rect class="attack-bar attack-${kind}"
      x="${x}" y="${y(share)}" width="${bar - 1}" height="${BOTTOM - y(share)}"/>`);
    const bars = CLASSES.map((k) => `
      <g style="--attack-class: var(--widget-class-${k})">
        ${rect(before[k], middle(k) - bar, "before")}${rect(after[k], middle(k) + 1, "after")}
        <text class="attack-digit" x="${middle(k)}" y="${BOTTOM + 19}"
              text-anchor="middle">${k}</text></g>`);
    root.innerHTML = `${grid.join("")}${bars.join("")}
      <rect class="attack-true" x="${middle(label) - 9}" y="${BOTTOM + 5}" width="18" height="19"
            rx="3"/>
      <text class="widget-tick" x="0" y="11">probability, %</text>`;
  }

  function bars() {
    const markup = `<svg class="widget-plot attack-bars" height="${HEIGHT}"
      aria-hidden="true"></svg>`;
    return panel(markup, drawBars);
  }

  /** The same numbers for those who don't see the bars. */
  function numbers(name) {
    const rows = CLASSES.map((k) => `<tr><th scope="row">${k}</th><td></td><td></td></tr>`);
    const element = parse(`<table class="widget-hidden">
      <caption>${TITLES[name]}: probability of each class</caption>
      <thead><tr><th scope="col">Class</th><th scope="col">before</th><th scope="col">after</th></tr>
      </thead><tbody>${rows.join("")}</tbody></table>`);
    const cells = [...element.querySelectorAll("td")];
    const show = ({ before, after }) => CLASSES.forEach((k) => {
      cells[2 * k].textContent = `${format(100 * before[k], 1)} %`;
      cells[2 * k + 1].textContent = `${format(100 * after[k], 1)} %`;
    });
    return { element, show };
  }

  /* ---- a network ----------------------------------------------------------------------------- */

  /** The change as a picture: gray where there is none, black and white at the largest one. */
  function grays(change, largest) {
    return change.map((value) => 0.5 + value / (2 * (largest || 1)));
  }

  function networkPanel(name) {
    const picture = (kind, label, caption) => `<div><canvas class="attack-image" width="${SIDE}"
      height="${SIDE}" data-picture="${kind}" role="img" aria-label="${label}"></canvas>
      <span class="attack-caption">${caption}</span></div>`;
    const title = TITLES[name];
    const element = parse(`<div class="attack-network" data-network="${name}" role="group"
        aria-label="${title}">
      <p class="widget-title">${title}</p>
      <div class="attack-pictures">
        ${picture("attacked", `${title}: the attacked picture`, "after the attack")}
        ${picture("change", `${title}: the change, gray for none`, "the change, gray for none")}
      </div>
      <p class="attack-facts">Largest change <b data-fact="linf"></b>, length
        <b data-fact="l2" data-label="length"></b></p></div>`);
    const [shares, table] = [bars(), numbers(name)];
    element.append(shares.root, table.element);
    const fact = (key, value) => {
      element.querySelector(`[data-fact=${key}]`).textContent = format(value, NORMS[key].digits);
    };
    const canvas = (kind) => element.querySelector(`[data-picture=${kind}]`);

    function show(label, x, found) {
      const change = minus(found.picture, x);
      const largest = Math.max(...change.map(Math.abs));
      paint(canvas("attacked"), found.picture);
      paint(canvas("change"), grays(change, largest));
      fact("linf", largest);
      fact("l2", length(change));
      shares.show(found, label);
      table.show(found);
    }
    return { element, show };
  }

  /* ---- the smallest radii -------------------------------------------------------------------- */

  /** A row for each number of steps; `onTake(name)` hears of a button. */
  function radii(onTake) {
    const names = Object.keys(TITLES);
    const cells = (steps) => names.map((name) => `<td data-steps="${steps}"
      data-of="${name}"></td>`).join("");
    const rows = STEPS.map((steps) => `<tr data-row="${steps}"><th scope="row">${steps}${
      steps === 1 ? " (FGSM)" : ""}</th>${cells(steps)}</tr>`);
    const element = parse(`<div class="attack-radii">
      <p class="widget-title">Smallest <i>ε</i> that fools it</p>
      <table class="widget-table"><caption></caption>
        <thead><tr><th scope="col">Steps</th>${names.map((name) =>
          `<th scope="col">${TITLES[name].split(" ")[0]}</th>`).join("")}</tr></thead>
        <tbody>${rows.join("")}</tbody></table>
      <div class="widget-buttons"></div>
      <p class="widget-note">Found by bisection. It is an upper bound of the distance to a mistake: a
        better attack may need less.</p></div>`);
    const buttons = Object.fromEntries(names.map((name) =>
      [name, button(`Fool the ${name} one`, () => onTake(name))]));
    element.querySelector(".widget-buttons").append(...Object.values(buttons));

    /** `found[steps][name]` is a radius, null for none, undefined while it is not known. */
    function show({ norm, steps: chosen }, found) {
      const { parts, most, digits } = NORMS[norm];
      const text = (radius) => (radius === undefined ? "…"
        : radius === null ? `over ${format(most / parts, 1)}` : format(radius, digits));
      element.querySelector("caption").textContent = `in the norm ${norm}`;
      for (const cell of element.querySelectorAll("td")) {
        cell.textContent = text(found[cell.dataset.steps]?.[cell.dataset.of]);
      }
      for (const row of element.querySelectorAll("[data-row]")) {
        set(row, { "aria-current": Number(row.dataset.row) === chosen ? "true" : null });
      }
      for (const name of names) {
        set(buttons[name], { "aria-disabled": String(!(found[chosen]?.[name] >= 0)) });
      }
    }
    return { element, show };
  }

  window.CompanionWidgets.attackPanels = {
    STEPS, TITLES, grays, networkPanel, radii, words,
  };
})();
