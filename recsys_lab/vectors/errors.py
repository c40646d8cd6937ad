"""The error of everything that works on stored vectors."""


class VectorsError(ValueError):
    """A request cannot be answered; the message is one sentence that names the remedy."""
