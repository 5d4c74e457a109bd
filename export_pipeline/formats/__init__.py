"""The formats: how rows become files."""
