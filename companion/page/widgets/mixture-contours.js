/* Contours of a function on a square, as closed paths: marching squares. */
(() => {
  "use strict";

  const OUTSIDE = -1e3; // beyond the border, so that every contour closes

  /** Values on a grid of (n + 1) x (n + 1) places of the square [-limit, limit], row by row. */
  function tabulate(value, limit, n) {
    const at = (i) => ((2 * i) / n - 1) * limit;
    const border = (i) => i === 0 || i === n;
    const place = (_, index) => {
      const [i, j] = [index % (n + 1), Math.floor(index / (n + 1))];
      return border(i) || border(j) ? OUTSIDE : value([at(i), at(j)]);
    };
    return Float64Array.from({ length: (n + 1) ** 2 }, place);
  }

  /** Where each contour goes from edge to edge: a map from an edge to the next one.
   *
   * An edge is 2 * node where it runs along the row, and 2 * node + 1 where it crosses rows. Around
   * a cell, a contour leads from each edge where one leaves the inside to the next where one comes
   * back. The neighbor walks along that edge the other way, so the pieces fit.
   */
  function links(values, n, level) {
    const next = new Map();
    const row = n + 1;
    for (let cell = 0; cell < n * row - 1; cell += 1) {
      if (cell % row === n) continue;
      const corners = [cell, cell + 1, cell + row + 1, cell + row];
      const inside = corners.map((node) => values[node] > level);
      if (inside.every((is) => is === inside[0])) continue;
      const edges = [2 * cell, 2 * (cell + 1) + 1, 2 * (cell + row), 2 * cell + 1];
      for (let i = 0; i < 4; i += 1) {
        if (!inside[i] || inside[(i + 1) % 4]) continue;
        let back = (i + 1) % 4;
        while (inside[back] || !inside[(back + 1) % 4]) back = (back + 1) % 4;
        next.set(edges[i], edges[back]);
      }
    }
    return next;
  }

  /** All contours of one level: arrays of places [a, b]. */
  function contours(values, limit, n, level) {
    const row = n + 1;
    const next = links(values, n, level);
    const at = (i) => ((2 * i) / n - 1) * limit;
    const crossing = (edge) => {
      const [node, upward] = [edge >> 1, edge % 2];
      const t = (level - values[node]) / (values[node + (upward ? row : 1)] - values[node]);
      const [i, j] = [node % row, Math.floor(node / row)];
      return upward ? [at(i), at(j + t)] : [at(i + t), at(j)];
    };
    const loops = [];
    while (next.size > 0) {
      let [edge] = next.keys();
      const loop = [];
      while (next.has(edge)) {
        loop.push(crossing(edge));
        const following = next.get(edge);
        next.delete(edge);
        edge = following;
      }
      loops.push(loop);
    }
    return loops;
  }

  window.CompanionWidgets.mixtureContours = { contours, tabulate };
})();
