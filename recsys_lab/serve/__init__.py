"""A page in the browser: neighbours of an item by several models and baselines, side by side."""
