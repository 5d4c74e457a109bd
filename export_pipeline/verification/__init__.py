"""Proof that a file holds the rows that were written: checksums taken on the way in, compared with a second reader's.

A column's checksum is the sum over its rows of `hash(value) * hash(position)`, modulo 2**64. It depends on each
value and on its place, yet not on the order in which batches are added (Polars uses several threads). A lost, doubled,
swapped or changed cell changes it. Two columns have equal checksums where they hold equal values: -0.0 is not
0.0, null is not "", every NaN is the same NaN, a category is its text.

Where the rows are scattered over partitions, the place of a row in the whole is gone: the weight is then a hash of the
row itself, with its keys. That proves every cell, bound to its row and its row to its partition, and the number of
rows; the order inside a partition is kept by the writer, and not proven.

The checksums are of the rows as the format holds them (`Format.render`): of the values for what a format keeps, of the
text for what it writes as text. A format that arranges rows anew meters them twice: on the way in, in the order of the
source, and in the order of the file, which the reader finds.
"""

from export_pipeline.verification.meter import MASK, Meter, Progress, canonical
from export_pipeline.verification.model import Artifact, Loss, Proof, Verified
from export_pipeline.verification.reading import Readable, verify

__all__ = ["MASK", "Artifact", "Loss", "Meter", "Progress", "Proof", "Readable", "Verified", "canonical", "verify"]
