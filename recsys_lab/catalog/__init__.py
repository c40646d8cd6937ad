"""Raw files to catalogue, weighted pairs and splits; no torch, no configuration."""
