"""Defenses: losses that train a classifier on the images an attacker would choose.

A loss is a module around a classifier whose `forward` returns one number for each example, so that
`fit` trains it like everything else: `fit(TRADES(classifier, eps=0.3), (images, labels))`.
"""

from companion.defenses.losses import TRADES, FGSMTraining, Scored, StandardTraining

__all__ = ["TRADES", "FGSMTraining", "Scored", "StandardTraining"]
