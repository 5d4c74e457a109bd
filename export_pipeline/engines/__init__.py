"""Engines: what a query needs of the machine that runs it and Narwhals does not offer.

The translation of filters and measures is said once, in Narwhals; an engine adds time buckets, the stable order of
rows, the look-up of pivot columns, and a way to run a long native call that can be interrupted.
"""
