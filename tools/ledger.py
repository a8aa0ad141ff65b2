"""Write the figures of the pretrained models into the ledger, from their cards.

The ledger holds a block between two comments. `python -m tools.ledger` writes the block again, and
`--check` fails if the page and the cards disagree. So no figure of a card is typed by hand.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from companion import pretrained
from tools.pages import ROOT

LEDGER = ROOT / "book/appendix/ledger.md"
BEGIN = "<!-- Written by tools/ledger.py from the cards of the pretrained models. -->"
END = "<!-- End of what tools/ledger.py writes. -->"

CLASSIFIERS = (
    "All pretrained classifiers: accuracy in percent with Wilson's 95 % interval on the 10,000 "
    "test images, without attack and under linf attacks of radius $\\epsilon$. For AutoAttack, "
    "every tenth image (pyautoattack 0.2.0, standard). One seed each, on a GPU. For FGSM training "
    "with a random start Wong et al. (2020) print 98.50 clean and 88.77 under PGD-50 with 10 "
    "starts."
)

PUBLISHED = -86.76  # Burda et al. (2016), table 1: one layer, k = 1, binarized at every step
TOLERANCE = 1.07  # how far a reproduction of the neighboring figure was off, see the page
PUBLISHED_EPOCHS = 3_280
PUBLISHED_ACTIVE = 19


def signed(value: float) -> str:
    """Write a number of nats with its sign, a typographic minus where it is negative."""
    return f"{value:+.2f}".replace("-", "−")


def nats(estimate: dict[str, Any]) -> str:
    """Write a mean with its standard error."""
    return f"{signed(estimate['mean'])} ± {estimate['standard_error']:.2f}"


def difference(card: dict[str, Any]) -> float:
    """Return ours minus published, as the table prints it."""
    bound = float(card["test"]["importance_weighted_bound"]["mean"])
    return round(round(bound, 2) - PUBLISHED, 2)


def comparison(card: dict[str, Any]) -> str:
    """Return the row of the one-layer VAE, one line for each column of the ledger."""
    bound = card["test"]["importance_weighted_bound"]
    inside = abs(difference(card)) <= TOLERANCE
    rows = {
        "Claim": "log-likelihood of test images in nats, estimated by the importance-weighted "
        "bound; and active units",
        "Published": f"{signed(PUBLISHED)} with 5,000 samples, {PUBLISHED_ACTIVE} active units of "
        "50: {cite:t}`burda2016`, table 1, one stochastic layer, $k = 1$",
        "Setting": "MNIST, binarized at every step; 784-200-200-50, tanh. Theirs: 59,600 training "
        f"images, {PUBLISHED_EPOCHS:,} epochs, batches of 20. Ours: {card['n_images']:,} images, "
        f"{card['epochs']} epochs, batches of {card['batch_size']}, test images binarized once",
        "Ours": f"{nats(bound)} (standard error over {bound['n_images']:,} test images) with "
        f"{bound['n_samples']:,} samples, {card['test']['active_units']} active units; one seed",
        "Tolerance": f"{TOLERANCE} nats",
        "Verdict": f"{signed(difference(card))} nats, {'inside' if inside else 'outside'} the "
        "tolerance. With one seed it is a comparison, not yet a reproduction (rule 3)",
        "How": f"`{card['recipe']}`",
    }
    lines = [f"| {name} | {text} |" for name, text in rows.items()]
    return "\n".join(["| Column | VAE with a standard normal prior |", "| :-- | :-- |", *lines])


def how_measured(cards: dict[str, dict[str, Any]]) -> str:
    """Say with how many samples the bounds were measured; the table compares models, so all alike.

    Raises:
        ValueError: the bounds of the cards were not measured with the same number of samples.
    """
    counts = {card["test"]["importance_weighted_bound"]["n_samples"] for card in cards.values()}
    if len(counts) != 1:
        raise ValueError(f"The cards' bounds differ in their numbers of samples: {sorted(counts)}.")
    samples = counts.pop()
    return f"bound with {samples:,} samples on strided test images, ± standard error over images"


def share(figure: dict[str, Any]) -> str:
    """Write a proportion in percent with its interval."""
    value, low, high = (100 * figure[name] for name in ("value", "low", "high"))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table: two columns of words, then columns of numbers."""
    rule = [":--"] * 2 + ["--:"] * (len(head) - 2)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


def classifiers(cards: dict[str, dict[str, Any]]) -> str:
    """Return the table of the pretrained classifiers."""
    head = ["Model", "Training", "$\\epsilon$", "Clean", "PGD-100, 10 starts", "AutoAttack"]
    rows = []
    for name, card in cards.items():
        test, plan = card["test"], card["defense"]
        trained = {
            "standard": "standard",
            "fgsm": f"FGSM with random start, {plan.get('eps')}",
            "trades": f"TRADES, {plan.get('eps')}",
        }[plan["loss"]]
        attacked = test["pgd100x10"]
        judged = share(test["autoattack"]) if "autoattack" in test else "not measured"
        figures = f"{attacked['eps']:g}", share(test["clean"]), share(attacked), judged
        rows.append((f"`{name}`", trained, *figures))
    return table(head, rows)


def overview(cards: dict[str, dict[str, Any]]) -> str:
    """Return the table of the pretrained VAEs."""
    head = [
        "Model",
        "Prior",
        "Epochs",
        "ELBO",
        "Importance-weighted bound",
        "Images",
        "Active units",
    ]
    rows = []
    for name, card in cards.items():
        test, plan = card["test"], card["architecture"]
        prior = {
            "normal": "$N(0, I)$",
            "mixture": f"mixture, $K = {plan.get('n_components')}$",
            "vamp": f"VampPrior, $K = {plan.get('n_components')}$",
        }[plan["prior"]]
        bound = test["importance_weighted_bound"]
        active = f"{test['active_units']} of {plan['latent_dim']}"
        figures = nats(test["elbo"]), nats(bound), f"{bound['n_images']:,}"
        rows.append((f"`{name}`", prior, str(card["epochs"]), *figures, active))
    return table(head, rows)


def with_cards(page: str, cards: dict[str, dict[str, Any]]) -> str:
    """Return the page with its block written from the cards.

    Raises:
        ValueError: the page has no block, or more than one.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError("The ledger needs one block between the two comments of tools/ledger.py.")
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    robust = {name: card for name, card in cards.items() if "defense" in card}
    vaes = {name: card for name, card in cards.items() if name not in robust}
    intro = f"All pretrained VAEs, in nats ({how_measured(vaes)}):"
    block = f"{comparison(cards['vae'])}\n\n{intro}\n\n{overview(vaes)}"
    if robust:
        block += f"\n\n{CLASSIFIERS}\n\n{classifiers(robust)}"
    return f"{head}{BEGIN}\n\n{block}\n\n{END}{tail}"


def main(arguments: list[str] | None = None, page: Path = LEDGER) -> int:
    """Write the page, or with `--check` say whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(arguments).check
    old = page.read_text(encoding="utf-8")
    new = with_cards(old, {name: pretrained.card(name) for name in pretrained.names()})
    if check and new != old:
        print("The ledger and the cards disagree. Run: python -m tools.ledger")
        return 1
    if not check:
        page.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
