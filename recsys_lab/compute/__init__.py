"""Threads, parallel parts, compiled kernels, start-up of the process."""
