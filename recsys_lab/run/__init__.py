"""One run, from configuration to metrics."""
