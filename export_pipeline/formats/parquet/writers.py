"""How Parquet is written: Polars' sink, the fast way, or Arrow's writer for what only that one can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl

from export_pipeline.formats.parquet.codecs import POLARS
from export_pipeline.formats.parquet.order import SortCheck, sorting

if TYPE_CHECKING:
    from export_pipeline.formats.parquet import Parquet

LARGE = 65_536
"""Rows of a row group from which on a file has so few of them that it matters little what writers keep of each."""
MOST = (1 << 31) - 1
"""Rows of a row group that every writer can count."""
AUTO_ARROW = 131_072
"""Rows in a group that Arrow's writer makes of `auto`: they are held in memory until the group is complete."""
_BATCH = 10_000
_TEXT = "BYTE_ARRAY"


def arrow_schema(form: Parquet, schema: pl.Schema) -> Any | None:
    """Return the Arrow schema with what is declared of the fields; None where nothing is."""
    declared = {field.called: field for field in form.declared.fields if not field.nullable or field.metadata}
    if not declared:
        return None
    found = pl.DataFrame(schema=schema).to_arrow().schema
    for n, name in enumerate(schema):
        if (field := declared.get(name)) is not None:
            notes = {**(found.field(n).metadata or {}), **{k: field.metadata[k] for k in sorted(field.metadata)}}
            found = found.set(n, found.field(n).with_nullable(field.nullable).with_metadata(notes or None))
    return found


def polars_options(form: Parquet, schema: pl.Schema) -> dict[str, Any]:
    """Return the arguments of Polars' sink."""
    options: dict[str, Any] = {
        "compression": POLARS[form.compression.tag],
        "compression_level": getattr(form.compression, "level", None),
        "row_group_size": None if form.row_group_size == "auto" else form.row_group_size,
        "data_page_size": form.page_size,
        "statistics": form.statistics,
        "engine": "streaming",
    }
    if form.notes:
        options["metadata"] = form.notes
    if (declared := arrow_schema(form, schema)) is not None:
        options["arrow_schema"] = declared
    if (key := form.secret_key) is not None:
        options["encryption"] = pl.ParquetEncryptionProperties(footer_key=key)
    return options


class _File:
    """A sink as Arrow wants its files."""

    closed = False

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def write(self, data: Any) -> int:
        return self._sink.write(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def write_arrow(form: Parquet, rows: pl.LazyFrame, sink: BinaryIO) -> None:
    """Write with Arrow, by whole row groups: bloom filters, sorting columns, and what is encrypted in many row groups.

    Of each column of each row group, Polars' writer keeps 4 kB until the footer is written, Arrow's less than a tenth.
    What is encrypted is bound to its place: it cannot be written in sections.
    """
    import pyarrow.parquet as arrow
    from pyarrow.parquet.encryption import create_encryption_properties

    schema = rows.collect_schema()
    size = AUTO_ARROW if form.row_group_size == "auto" else form.row_group_size
    declared = arrow_schema(form, schema) or pl.DataFrame(schema=schema).to_arrow().schema
    if form.notes:
        declared = declared.with_metadata(form.notes)
    leaves = _leaves(declared)
    check = SortCheck(form.sorting_columns)
    with arrow.ParquetWriter(
        _File(sink),
        declared,
        compression=form.compression.tag,
        compression_level=getattr(form.compression, "level", None),
        # Arrow does not give up a dictionary that makes a small group larger, as those of numbers do.
        use_dictionary=[leaf.path for leaf in map(leaves.column, range(len(leaves))) if leaf.physical_type == _TEXT],
        write_statistics=form.statistics,
        write_page_index=form.statistics,
        data_page_size=form.page_size,
        bloom_filter_options={name: {"ndv": size, "fpp": 0.01} for name in form.bloom_filters} or None,
        sorting_columns=sorting(leaves, form.sorting_columns),
        encryption_properties=None if (key := form.secret_key) is None else create_encryption_properties(key),
    ) as writer:
        for groups in _groups(rows, max(1, _BATCH // size) * size):
            check.add(groups)
            writer.write_table(groups.to_arrow().cast(declared), row_group_size=size)


def _leaves(schema: Any) -> Any:
    """Return the Parquet schema, whose columns are the leaves, of an Arrow schema."""
    import io

    import pyarrow.parquet as arrow

    empty = io.BytesIO()
    arrow.write_table(schema.empty_table(), empty)
    return arrow.ParquetFile(empty).schema


def _groups(rows: pl.LazyFrame, size: int) -> Iterator[pl.DataFrame]:
    """Yield the rows in frames of this many rows, the last one shorter."""
    waiting: list[pl.DataFrame] = []
    height = 0
    for batch in rows.collect_batches(chunk_size=min(size, _BATCH), maintain_order=True, engine="streaming"):
        frame = batch
        while height + frame.height >= size:
            taken = size - height
            yield pl.concat([*waiting, frame.head(taken)])
            waiting, height, frame = [], 0, frame.slice(taken)
        if frame.height:
            waiting.append(frame)
            height += frame.height
    if waiting:
        yield pl.concat(waiting)
