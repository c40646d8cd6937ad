"""A package of a user's own, explained in `docs/adding-code.md`."""

from my_package import baseline, metric
from my_package.encoder import skipgram_fixed
from my_package.model import skipgram_tied
from my_package.reader import BasketSource

__all__ = ["BasketSource", "baseline", "metric", "skipgram_fixed", "skipgram_tied"]
