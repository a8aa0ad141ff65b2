"""A progress bar for people, and silence for machines."""

import sys

from tqdm.std import tqdm

from companion.page.shell import somebody_watches


def epoch_bar(done: int, epochs: int, enabled: bool) -> "tqdm[int]":
    """Return an iterator over the epochs to come that shows how far it is.

    It is a bar of text, which needs no notebook extension. It goes to standard output, because
    notebooks paint the other stream red.
    """
    return tqdm(
        range(done, epochs),
        initial=done,
        total=epochs,
        unit="epoch",
        file=sys.stdout,
        disable=not (enabled and somebody_watches()),
    )
