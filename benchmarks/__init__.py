"""Benchmarks of speed and cost; each has one command. Nothing here is deployed."""
