"""Encoders, losses, models, optimisers and the one LightningModule that trains them."""
