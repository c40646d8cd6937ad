"""Weighted item graphs and the walks over them."""
