"""The checks behind the exercises, and the quizzes.

>>> from companion.checks import check
>>> verdict = check("elbo.kl_by_hand", ..., record=False)  # an untouched stub
○ Not attempted yet: 1.1 A KL divergence by hand (elbo.kl_by_hand)
  Replace the placeholder with your answer, then run the cell again.

`check` shows its verdict at once, in a notebook and in a script, wherever in the cell it
stands, and returns it: `verdict.status`, `verdict.message`, and `bool(verdict)`, which is
true only for a correct answer. `check.progress()` shows what you have solved so far.

The exercise's number does too: `check("1.2", kl)` is `check("elbo.kl", kl)`.

A chapter's checks live in one module here (`companion.checks.elbo`), loaded on first use.
To write one, use the helpers of `companion.checks.authoring`.
"""

from companion.checks._core import Verdict, check
from companion.checks._diagnosis import diagnose
from companion.checks._quiz import Option, Question, Quiz, quiz

__all__ = ["Option", "Question", "Quiz", "Verdict", "check", "diagnose", "quiz"]
