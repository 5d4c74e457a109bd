"""How Parquet is read back: with Arrow what Polars wrote, with Polars what Arrow wrote."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl

from export_pipeline.errors import FormatError
from export_pipeline.formats.parquet import hive, lzo
from export_pipeline.formats.parts import part_files
from export_pipeline.formats.readers import frame_of
from export_pipeline.schemas import leaves_of

if TYPE_CHECKING:
    from export_pipeline.formats.parquet import Parquet

_BATCH = 65_536
_TOGETHER = 100
"""Small parts that are looked at together."""


def read_arrow(form: Parquet, path: Path | BinaryIO, schema: pl.Schema) -> Iterator[pl.DataFrame]:
    """Read with Arrow."""
    for batch in _batches(form, path, schema):
        yield frame_of(batch, schema)


def _batches(form: Parquet, path: Path | BinaryIO, schema: pl.Schema) -> Iterator[Any]:
    """Yield Arrow's record batches of a file whose columns have these names."""
    with open_arrow(form, path) as file:
        if file.schema_arrow.names != schema.names():
            raise FormatError(f"the columns are {file.schema_arrow.names}, not {schema.names()}")
        _compare(form, file)
        for groups in _at_once(file, schema):
            yield from file.iter_batches(_BATCH, row_groups=groups)


def _at_once(file: Any, schema: pl.Schema) -> list[list[int]]:
    """Return the row groups to read together: all, but one by one where categories stand inside of nested columns, for
    Arrow cannot join their dictionaries."""
    groups = list(range(file.metadata.num_row_groups))
    inside = [leaf for dtype in schema.dtypes() if dtype.is_nested() for leaf in leaves_of(dtype)]
    apart = any(isinstance(leaf, (pl.Categorical, pl.Enum)) for leaf in inside)
    return [[group] for group in groups] if apart else [groups]


def open_arrow(form: Parquet, path: Path | BinaryIO) -> Any:
    """Open a file with Arrow, with its key where it has one."""
    import pyarrow.parquet as arrow

    if (key := form.secret_key) is None:
        return arrow.ParquetFile(path, pre_buffer=False)
    from pyarrow.parquet.encryption import create_decryption_properties

    return arrow.ParquetFile(path, pre_buffer=False, decryption_properties=create_decryption_properties(key))


def read_lzo(form: Parquet, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
    """Unpack the pages into a file without a name, which is gone when it is closed, and read that with Arrow."""
    with tempfile.TemporaryFile(dir=path.parent) as plain:
        lzo.unpack_file(path, plain)
        plain.seek(0)
        yield from read_arrow(form, plain, schema)


def read_polars(form: Parquet, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
    """Read with Polars; what was asked of the footer is looked up in it."""
    key = form.secret_key
    rows = pl.scan_parquet(
        path, glob=False, decryption=None if key is None else pl.ParquetDecryptionProperties(footer_key=key)
    )
    if (names := rows.collect_schema().names()) != schema.names():
        raise FormatError(f"the columns are {names}, not {schema.names()}")
    with open_arrow(form, path) as file:
        _compare(form, file)
    for batch in rows.collect_batches(chunk_size=_BATCH, maintain_order=True, engine="streaming"):
        yield batch.cast(schema)


def read_partitions(form: Parquet, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
    """Read every part of a folder with Arrow; the keys are taken from the names of its folders."""
    import pyarrow as pa

    keys = form.partition_by
    inside = pl.Schema({name: dtype for name, dtype in schema.items() if name not in keys})
    texts = pl.Schema({**inside, **dict.fromkeys(keys, pl.String())})
    values = [hive.from_text(pl.col(key), schema[key]).alias(key) for key in keys]
    waiting: list[Any] = []

    def frame() -> pl.DataFrame:
        """Thousands of small parts are looked at together: for each of them, the call costs more than the work."""
        frame = frame_of(pa.concat_tables(waiting), texts)
        waiting.clear()
        return frame.with_columns(values).select(schema.names())

    for name, part in part_files(path):
        found = hive.values_of(name, form.constants, keys)
        for batch in _batches(form, part, inside):
            table = pa.Table.from_batches([batch])
            for key in keys:
                table = table.append_column(key, pa.repeat(pa.scalar(found[key], pa.large_string()), len(batch)))
            waiting.append(table)
            if sum(map(len, waiting[-_TOGETHER:])) >= _BATCH or len(waiting) >= _TOGETHER:
                yield frame()
    if waiting:
        yield frame()


def _compare(form: Parquet, file: Any) -> None:
    """Compare what the file says of itself with what was declared."""
    schema, notes = file.schema_arrow, file.metadata.metadata or {}
    for field in form.declared.fields:
        if field.called not in schema.names:
            continue  # a key of the partition
        found = schema.field(field.called)
        if found.nullable != field.nullable:
            raise FormatError(f"column {field.called!r} is not declared nullable: {field.nullable}")
        kept = {key.decode(): value.decode() for key, value in (found.metadata or {}).items()}
        if missing := {key for key, value in field.metadata.items() if kept.get(key) != value}:
            raise FormatError(f"column {field.called!r} has lost its note {sorted(missing)[0]!r}")
    if missing := {key for key, value in form.notes.items() if notes.get(key.encode()) != value.encode()}:
        raise FormatError(f"the file has lost its note {sorted(missing)[0]!r}")
