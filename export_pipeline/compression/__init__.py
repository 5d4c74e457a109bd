"""Compression of text formats: one table of codecs, each an option model with its level.

The default levels are those that make exports more than 70 % smaller at hundreds of megabytes per CPU second. The same
input gives the same bytes: no clock goes into a header. Only with a password it does not: each file has a salt of its
own, or two files of one password would betray each other. Reading back is done by Arrow's codecs and by Python's and
pyzipper's zip, not by what wrote.
"""

from export_pipeline.compression.codecs import AnyCompression, Brotli, Compression, Gzip, Uncompressed, Zip, Zstd
from export_pipeline.compression.filters import Stage, Writable

__all__ = [
    "AnyCompression",
    "Brotli",
    "Compression",
    "Gzip",
    "Stage",
    "Uncompressed",
    "Writable",
    "Zip",
    "Zstd",
]
