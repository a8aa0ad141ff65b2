// Formulas, code and tables that scroll sideways must be reachable by keyboard.
(() => {
  const boxes = ".bd-article :is(mjx-container, div.math, pre, .output, .pst-scrollable-table-container)";

  function reachByKeyboard() {
    for (const box of document.querySelectorAll(boxes)) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }

  window.addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    reachByKeyboard();
  });
  window.addEventListener("resize", reachByKeyboard);
})();
