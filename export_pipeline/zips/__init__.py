"""Zip files, written in one pass into any stream; plain, or encrypted with a password."""
