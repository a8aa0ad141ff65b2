/* What the style sheet can't do for readers who use a keyboard or a screen reader. */
(() => {
  "use strict";

  const SCROLLING =
    ".bd-article :is(div.math, pre, figure, dt, .output, .pst-scrollable-table-container)";

  /** Let the keyboard reach what scrolls sideways, and only that. */
  function reachWhatScrolls() {
    for (const box of document.querySelectorAll(SCROLLING)) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }

  /** Give a choice that is only a formula a name: its symbols. */
  function nameFormulas() {
    for (const summary of document.querySelectorAll("summary:has(mjx-container)")) {
      const plain = summary.cloneNode(true);
      plain.querySelectorAll("mjx-container").forEach((formula) => formula.remove());
      if (!plain.textContent.trim()) summary.setAttribute("aria-label", summary.textContent.trim());
    }
  }

  window.addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    nameFormulas();
    reachWhatScrolls();
    window.addEventListener("resize", reachWhatScrolls);
    document.addEventListener("toggle", reachWhatScrolls, true);
  });
})();
