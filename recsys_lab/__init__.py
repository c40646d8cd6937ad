"""A laboratory for item embeddings."""

__version__ = "0.1.0"
