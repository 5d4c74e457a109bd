"""Ours beside the fastest peers, in one run: ``python -m export_pipeline_tests.benchmarks``."""
