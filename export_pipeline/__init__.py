"""Exports of a data store, described once in YAML, run as Dagster jobs, delivered as verified files."""
