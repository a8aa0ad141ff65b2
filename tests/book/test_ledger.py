"""The ledger quotes the cards of the pretrained models, and nothing but the cards."""

import copy
import re

import pytest

from companion import pretrained
from tools import ledger

CARD = {
    "recipe": "python -m companion.recipes vae",
    "architecture": {"latent_dim": 50, "hidden_dims": [200, 200], "prior": "normal"},
    "n_images": 54_000,
    "epochs": 150,
    "batch_size": 100,
    "test": {
        "elbo": {"mean": -93.456, "standard_error": 0.27, "n_images": 10_000},
        "importance_weighted_bound": {
            "mean": -88.004,
            "standard_error": 0.254,
            "n_images": 10_000,
            "n_samples": 5_000,
        },
        "active_units": 21,
    },
}
PAGE = f"before\n\n{ledger.BEGIN}\nold\n{ledger.END}\n\nafter\n"


def card_with(bound):
    """Return the card with another bound."""
    card = copy.deepcopy(CARD)
    card["test"]["importance_weighted_bound"]["mean"] = bound
    return card


def test_the_page_agrees_with_the_cards():
    """Whoever changes a card writes the page again: python -m tools.ledger."""
    assert ledger.main(["--check"]) == 0


def test_no_figure_of_a_card_stands_outside_the_block():
    """A number in the prose would not follow its card."""
    page = ledger.LEDGER.read_text(encoding="utf-8")
    prose = page.split(ledger.BEGIN)[0] + page.split(ledger.END)[1]
    numbers = set(re.findall(r"−\d+\.\d\d", prose))  # a percentage may have the same digits
    for name in pretrained.names():
        test = pretrained.card(name)["test"]
        for key in {"elbo", "importance_weighted_bound"} & test.keys():
            assert ledger.signed(test[key]["mean"]) not in numbers


def test_the_row_holds_every_column_that_the_page_defines():
    """The reason stands in the prose; all other columns are in the row."""
    page = ledger.LEDGER.read_text(encoding="utf-8")
    columns = page.split("| Column | Meaning |")[1].split("\n\n")[0]
    defined = re.findall(r"^\| (\w+) \|", columns, re.MULTILINE)
    row = ledger.comparison(CARD)
    assert [name for name in defined if f"| {name} |" not in row] == ["Reason"]


def test_figures_are_written_with_their_error_and_their_number_of_samples():
    """Rounded to two digits, with a typographic minus."""
    row = ledger.comparison(CARD)
    assert "−88.00 ± 0.25 (standard error over 10,000 test images) with 5,000 samples" in row
    assert "21 active units; one seed" in row
    assert "150 epochs" in row
    assert "| `vae` | $N(0, I)$ | 150 | −93.46 ± 0.27 | −88.00 ± 0.25 | 10,000 | 21 of 50 |" in (
        ledger.overview({"vae": CARD})
    )


@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        (-88.00, "−1.24 nats, outside"),
        (-87.84, "−1.08 nats, outside"),
        (-87.83, "−1.07 nats, inside"),
        (-85.69, "+1.07 nats, inside"),
        (-85.60, "+1.16 nats, outside"),
    ],
)
def test_the_verdict_follows_from_the_tolerance(bound, verdict):
    """On both sides: far too good a figure is no reproduction either."""
    assert f"| Verdict | {verdict} the tolerance." in ledger.comparison(card_with(bound))


def test_components_of_the_other_priors_are_named():
    """The number of components is part of the prior."""
    card = copy.deepcopy(CARD)
    card["architecture"] |= {"prior": "vamp", "n_components": 100}
    assert "| `vae_vamp` | VampPrior, $K = 100$ |" in ledger.overview({"vae_vamp": card})


def test_bounds_with_different_numbers_of_samples_do_not_share_a_table():
    """More samples alone raise a bound."""
    other = copy.deepcopy(CARD)
    assert "5,000 samples" in ledger.how_measured({"a": CARD, "b": other})
    other["test"]["importance_weighted_bound"]["n_samples"] = 50
    with pytest.raises(ValueError, match="differ"):
        ledger.how_measured({"a": CARD, "b": other})


def test_only_the_block_changes_and_writing_twice_changes_nothing():
    """The prose around it is kept."""
    once = ledger.with_cards(PAGE, {"vae": CARD})
    assert once.startswith("before\n\n")
    assert once.endswith("\n\nafter\n")
    assert "old" not in once
    assert ledger.with_cards(once, {"vae": CARD}) == once


@pytest.mark.parametrize("page", ["", PAGE + PAGE, PAGE.replace(ledger.END, "")])
def test_a_page_without_one_block_is_refused(page):
    """Better than to write into the wrong place."""
    with pytest.raises(ValueError, match="one block"):
        ledger.with_cards(page, {"vae": CARD})


def test_check_writes_nothing_and_the_command_does(tmp_path, capsys):
    """--check fails on an old page; without it, the page is written."""
    page = tmp_path / "ledger.md"
    page.write_text(PAGE, encoding="utf-8")
    assert ledger.main(["--check"], page) == 1
    assert "python -m tools.ledger" in capsys.readouterr().out
    assert page.read_text(encoding="utf-8") == PAGE
    assert ledger.main([], page) == 0
    assert ledger.main(["--check"], page) == 0


def test_the_classifiers_have_their_own_table():
    page = ledger.LEDGER.read_text(encoding="utf-8")
    robust = [name for name in pretrained.names() if "defense" in pretrained.card(name)]
    assert len(robust) >= 5
    for name in robust:
        test = pretrained.card(name)["test"]
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        for figure in (test["clean"], test["pgd100x10"]):
            assert f"{100 * figure['value']:.2f} [{100 * figure['low']:.2f}, " in row
        assert ("not measured" in row) == ("autoattack" not in test)
