"""Metrics, the evaluation protocol and the baselines that need no training."""
