"""Batches for the models: pairs, windows over sequences, negatives."""
