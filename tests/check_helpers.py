"""What the tests of every chapter's checks use.

Each exercise needs, at the least, two right answers written differently, its stub, and three
wrong answers that each get a hint of their own::

    def test_kl():
        assert_correct("elbo.kl", closed_form, with_torch_distributions)
        assert_not_attempted("elbo.kl", stub)
        assert_hints("elbo.kl", {averaged: "averaged", negative: "sign", swapped: "KL(p || q)"})
"""

from collections.abc import Iterable, Mapping

from companion.checks import Verdict, check


def judge(key: str, answer: object) -> Verdict:
    """Return the verdict on an answer; it is not recorded."""
    verdict = check(key, answer, record=False)
    assert verdict.key == key, f"there is no exercise {key!r}"
    return verdict


def assert_correct(key: str, *answers: object) -> None:
    """Assert that at least two right answers, written differently, are accepted."""
    assert len(answers) >= 2, "give at least two right answers, written differently"
    for index, answer in enumerate(answers):
        verdict = judge(key, answer)
        assert verdict.status == "correct", f"right answer {index} of {key}:\n{verdict}"


def assert_not_attempted(key: str, *stubs: object) -> None:
    """Assert that an untouched stub gets a friendly line."""
    assert stubs, "give at least one stub"
    for stub in stubs:
        verdict = judge(key, stub)
        assert verdict.status == "not attempted", str(verdict)
        assert verdict.message


def assert_hints(
    key: str, wrong: Mapping[object, str] | Iterable[tuple[object, str]], minimum: int = 3
) -> None:
    """Assert that each wrong answer gets its own message, which holds the fragment given.

    Args:
        key: The exercise.
        wrong: Each wrong answer with a part of its hint; pairs, where answers can't be keys.
        minimum: How many wrong answers there have to be.
    """
    pairs = list(wrong.items() if isinstance(wrong, Mapping) else wrong)
    assert len(pairs) >= minimum, f"{key}: give at least {minimum} wrong answers"
    messages: dict[str, str] = {}
    for index, (answer, fragment) in enumerate(pairs):
        verdict = judge(key, answer)
        name = f"wrong answer {index} ({getattr(answer, '__name__', answer)!r})"
        assert verdict.status == "not yet", f"{key} accepts {name}:\n{verdict}"
        assert fragment in verdict.message, f"{key}, {name}: {fragment!r} not in\n{verdict}"
        earlier = messages.setdefault(verdict.message, name)
        assert earlier == name, f"{key}: {earlier} and {name} get the same message\n{verdict}"
