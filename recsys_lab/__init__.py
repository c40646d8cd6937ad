"""A laboratory for item embeddings."""

from pathlib import Path

from recsys_lab.kernel_cache import choose_kernel_cache

__version__ = "0.1.0"

choose_kernel_cache(Path(__file__).parent)
