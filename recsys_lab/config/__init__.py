"""Checks of the command line and of the composed configuration."""
