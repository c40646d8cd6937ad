"""A page in the browser: the neighbours of an item from several models and baselines, side by side."""
