/* The tasks of the figure "mixture". The numbers in the answers are computed, never typed in. */
(() => {
  "use strict";

  const { format, mixtureModel, parse } = window.CompanionWidgets;
  const { STANDARD, circle, emStep, meanLogLikelihood } = mixtureModel;

  const CORNER = [[2.5, 2.5], [2.5, 3], [3, 2.5], [3, 3]].map((mean) => circle(1 / 4, mean, 0.6));

  /** Nats above the standard normal where EM ends, from a start. */
  function ends(mixture, codes) {
    const first = meanLogLikelihood(STANDARD, codes);
    for (let i = 0; i < 200; i += 1) mixture = emStep(mixture, codes);
    return format(meanLogLikelihood(mixture, codes) - first);
  }

  /** `start(count)` is the mixture at the start; `sets` are the codes by name. */
  function tasks(start, { pinwheel, digits }) {
    const at = (count, codes = pinwheel) => ends(start(count), codes);
    const question = digits ? `<li>Fit four components to the digits, from the start. Why is the
      difference so much smaller?</li>` : "";
    const answer = digits ? `<li>It is ${at(4, digits)} nats. The encoder was trained to fill the
      standard normal, and in two dimensions it nearly does.</li>` : "";
    return parse(`
      <div class="widget-tasks"><p class="widget-title">Try this</p>
        <ol>
          <li>Make the difference as large as you can by hand, with three components. Then let EM go
            on from there. Does a step ever lose?</li>
          <li>Choose the pinwheel and fit one component. What does EM find? Do the samples look like
            the codes?</li>
          <li>Fit four components to the pinwheel, from the start. Then drag all four into the upper
            right corner and fit again. Does EM end at the same value?</li>
          ${question}
        </ol>
        <details><summary>What you should have seen</summary><ol>
          <li>No step loses. From the start shown here, EM ends ${at(3, digits ?? pinwheel)} nats
            above the standard normal. It turns and stretches the ellipses, which no slider
            does.</li>
          <li>The mean and the covariance of the codes, in one step. The pinwheel was scaled to
            those of the standard normal, so the gain is only ${at(1)} nats, and the samples
            fill the holes. To match two moments is not to match a distribution.</li>
          <li>No: ${at(4)} nats from the start, and ${ends(CORNER, pinwheel)} from a corner that we
            tried. EM climbs to a local optimum, and the start decides which one.</li>
          ${answer}
        </ol></details>
      </div>`);
  }

  window.CompanionWidgets.mixtureTasks = { CORNER, tasks };
})();
