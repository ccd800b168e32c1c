"""Benchmarks: `make bench` measures, writes results.json and the page."""
