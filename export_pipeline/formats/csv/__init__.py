"""CSV: opens everywhere, keeps no types. RFC 4180 unless told otherwise."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, BinaryIO, ClassVar

import polars as pl

from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.formats import iso
from export_pipeline.formats.about import About
from export_pipeline.formats.csv import cells
from export_pipeline.formats.csv.cells import ColumnFormat
from export_pipeline.formats.csv.dialect import STYLES
from export_pipeline.formats.csv.encodings import ascii_column, ascii_text, beyond_ascii, decoded, encoding_stage
from export_pipeline.formats.csv.options import CsvOptions
from export_pipeline.formats.csv.reading import Reader
from export_pipeline.formats.dates import has_date
from export_pipeline.formats.guards import Look
from export_pipeline.formats.numbers import NumberFormat, is_number
from export_pipeline.formats.texts import (
    finite,
    held,
    holds_floats,
    json_text,
    refusal,
    refuse_non_finite,
    refuse_non_finite_inside,
    refuse_objects,
    refuse_years,
    text_losses,
)
from export_pipeline.schemas import name_of
from export_pipeline.verification import Loss

__all__ = ["ColumnFormat", "Csv", "NumberFormat"]


class Csv(CsvOptions):
    """Comma-separated values: opens everywhere, keeps no types."""

    tag: ClassVar[str] = "csv"
    extension: ClassVar[str] = ".csv"
    media_type: ClassVar[str] = "text/csv"

    def check(self, schema: pl.Schema) -> None:
        """Refuse formats of unknown columns or wrong types, headers that do not fit or cannot be written, objects."""
        refuse_objects(schema, "CSV")
        for name, form in self.column_formats.items():
            if name not in schema:
                raise ConfigError(f"column_formats names {name!r}, which is no column ({did_you_mean(name, schema)})")
            _check_format(name, schema[name], form)
        given = self.headers if isinstance(self.headers, list) else schema.names()
        if len(given) != len(schema):
            raise ConfigError(
                f"headers names {len(given)} columns, there are {len(schema)}: {', '.join(schema.names())}",
                cure="Give one header per column, in their order, or true.",
            )
        if self.headers is not False:
            for name in given:
                self._check_header(name, alone=len(given) == 1)

    def _check_header(self, name: str, *, alone: bool) -> None:
        special = pl.Series([name]).str.contains(self.dialect.forbidden).item()
        if self.quotes == "none" and (special or (alone and not name) or name.startswith("\ufeff")):
            raise ConfigError(f"the header {name!r} needs quotes", cure="Use quotes: minimal, or rename it.")
        if self.encoding == "ascii" and self.ascii_policy == "refuse" and not name.isascii():
            raise ConfigError(f"the header {name!r} is not ASCII", cure="Rename it, or choose another ascii_policy.")
        if self.formula_guard == "error" and name.startswith(cells.FORMULAS):
            raise ConfigError(f"the header {name!r} would be a formula in a spreadsheet", cure="Rename it.")

    def losses(self, schema: pl.Schema) -> list[Loss]:
        """Return what these options lose: types of columns, and nulls where no quotes tell them from texts."""
        found = list(text_losses(schema, self.non_finite))
        for name, dtype in schema.items():
            found += [Loss(column=name, why=why) for why in self._lost(name, dtype)]
        if len(schema) == 1 and self.null == "" and self.quotes != "all":
            found.append(Loss(why="null becomes an empty line, which some readers skip; set null_value"))
        return found

    def _lost(self, name: str, dtype: pl.DataType) -> Iterator[str]:
        """Yield what one column loses."""
        pattern, number, null = self._formats(name, dtype)
        text = _is_text(dtype)
        if dtype.is_nested():
            yield "nested values become JSON text"
        if pattern is not None:
            yield f"becomes text by the pattern {pattern!r}"
        if number is not None:
            yield "numbers become text by number_format"
        if self.encoding == "ascii" and self.ascii_policy != "refuse" and (text or pattern is not None):
            yield f"characters beyond ASCII become {'?' if self.ascii_policy == 'replace' else 'escapes'}"
        if self.formula_guard == "prefix" and text:
            yield "texts that would be formulas get an apostrophe"
        if null is not None:
            yield f"null becomes the text {null!r}, which may be a value, too"
        elif text and self.quotes == "all":
            yield f"null becomes the text {self.null_value!r}: every field is quoted"
        elif text and self.quotes == "none":
            yield f"the text {self.null_value!r} becomes null: no quotes tell them apart"

    def _formats(self, name: str, dtype: pl.DataType) -> tuple[str | None, NumberFormat | None, str | None]:
        """Return the pattern, the number format and the text of null that a column has, None for the usual ones."""
        own = self.column_formats.get(name, _USUAL)
        pattern = self.date_format if self.date_format and cells.takes_pattern(dtype, self.date_format) else None
        number = self.number_format if is_number(dtype) else None
        null = self.null_value if self.null is None else None
        if own.null_value is not None and own.null_value != self.null_value:
            null = own.null_value
        return own.date_format or pattern, own.number_format or number, null

    def render(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Cast what CSV has no form for to text, format, and apply the policies; untouched columns cost nothing."""
        changed = []
        for name, dtype in rows.collect_schema().items():
            column = pl.col(name)
            value = self._cell(name, column, dtype)
            if value is not column:
                changed.append(value.alias(name))
        return rows.with_columns(changed) if changed else rows

    def _cell(self, name: str, column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
        """Return what the file holds of a column."""
        pattern, number, null = self._formats(name, dtype)
        value = json_text(column, dtype) if dtype.is_nested() else held(column, dtype)
        if dtype.is_float() and self.non_finite == "null":
            value = finite(value)
        if pattern is not None:
            value = cells.dates(value, dtype, pattern)
        if number is not None:
            named = name in self.column_formats and self.column_formats[name].number_format is not None
            value = cells.numbers(value, dtype, number, named=named, refuse=self.non_finite == "error")
        text = _is_text(dtype)
        if self.encoding == "ascii" and self.ascii_policy != "refuse" and (text or pattern is not None):
            value = ascii_column(value, self.ascii_policy)
        if self.formula_guard != "off" and text:
            value = cells.guarded(value, prefix=self.formula_guard == "prefix")
        text = text or pattern is not None or number is not None
        if null is not None:
            value = (value if text else cells.plain(value, dtype, self.booleans)).fill_null(null)
            text = True
        if text and self.quotes == "all":
            value = value.fill_null(self.null_value)
        if text and self.quotes == "none" and self.null is not None:
            value = pl.when(value != self.null).then(value)
        return value

    def guard(self, schema: pl.Schema, table: str | None = None) -> Look | None:  # noqa: ARG002
        """Return what refuses numbers that are not finite inside of lists and structs, if asked to."""
        names = [name for name, dtype in schema.items() if self.non_finite == "error" and holds_floats(dtype)]
        return (lambda frame, start: refuse_non_finite_inside(frame, start, names)) if names else None

    def inspect(self, frame: pl.DataFrame, start: int) -> None:
        """Refuse years beyond four digits, and what the policies or missing quotes forbid."""
        refuse_years(frame, start)
        if self.non_finite == "error":
            refuse_non_finite(frame, start)
        for name in (name for name, dtype in frame.schema.items() if isinstance(dtype, pl.String)):
            self._inspect_texts(name, frame[name], start)
        if self.headers is False and self.quotes != "all" and (start == 0 or self.is_folder):
            first = frame.to_series(0) if self.is_folder else frame.to_series(0).head(1)
            if isinstance(first.dtype, pl.String):
                wrong = first.str.starts_with("\ufeff").fill_null(value=False)
                if wrong.any():
                    why = "begins with a byte order mark, which readers drop at the start of a file"
                    raise refusal(frame.columns[0], start, wrong, why, "Use headers, or quotes: all.")

    def _inspect_texts(self, name: str, texts: pl.Series, start: int) -> None:
        if self.date_format or self.number_format or self.column_formats or self.formula_guard == "error":
            for refused, (why, cure) in cells.REFUSED.items():
                if (wrong := texts == refused).any():
                    raise refusal(name, start, wrong.fill_null(value=False), why, cure, texts)
        if self.encoding == "ascii" and self.ascii_policy == "refuse" and (wrong := beyond_ascii(texts)).any():
            raise refusal(name, start, wrong, "is not ASCII", "Use encoding: utf-8, or another ascii_policy.", texts)
        if self.quotes == "none":
            wrong = texts.str.contains(self.dialect.forbidden).fill_null(value=False)
            if wrong.any():
                raise refusal(name, start, wrong, "needs quotes", "Use quotes: minimal.", texts)

    def continued(self) -> Csv:
        """Return the format of a part's later records."""
        return self.replace(split=None, headers=False, bom=False)

    def encode(self, rows: pl.LazyFrame, sink: BinaryIO, about: About) -> None:  # noqa: ARG002
        """Write the header, then stream the records through Polars' CSV sink."""
        dated = iso.spelled(rows)
        schema = dated.collect_schema()
        dialect = self.dialect
        # Polars doubles quotes only, and does not quote a text that equals null_value: such fields are quoted here.
        ours = not dialect.doubles or (self.quotes == "minimal" and bool(self.null))
        changed = [
            value.alias(name)
            for name, dtype in schema.items()
            if (value := self._field(name, dtype, ours=ours, alone=len(schema) == 1)) is not None
        ]
        stage = encoding_stage(sink, self.encoding, bom=self.has_bom)
        if (headings := self._headings(schema.names())) is not None:
            record = self.delimiter.join(dialect.field(text, alone=len(schema) == 1) for text in headings)
            stage.write((record + self.line_terminator).encode())
        dated.with_columns(changed).sink_csv(
            stage,
            include_header=False,
            separator=self.delimiter,
            line_terminator=self.line_terminator,
            quote_style="never" if ours else STYLES[self.quotes],
            null_value=self.null_value,
            engine="streaming",
        )

    def _field(self, name: str, dtype: pl.DataType, *, ours: bool, alone: bool) -> pl.Expr | None:
        """Return how a column stands in the file where Polars' sink would write it differently."""
        column = pl.col(name)
        if ours and self.quotes == "all":
            return self.dialect.fields(cells.plain(column, dtype, self.booleans).fill_null(self.null_value), ())
        if ours and isinstance(dtype, pl.String):
            empty_is_null = self._formats(name, dtype)[2] == "" and not alone
            quoted = tuple(text for text in ("", self.null) if text is not None)
            return self.dialect.fields(column, tuple(filter(None, quoted)) if empty_is_null else quoted)
        if isinstance(dtype, pl.Boolean) and self.booleans != ("true", "false"):
            return cells.spelled(column, self.booleans)
        return None

    def _headings(self, columns: list[str]) -> list[str] | None:
        """Return the texts of the header record, None where there is none."""
        if self.headers is False:
            return None
        names = self.headers if isinstance(self.headers, list) else columns
        if self.encoding == "ascii" and self.ascii_policy != "refuse":
            names = [ascii_text(name, self.ascii_policy) for name in names]
        if self.formula_guard == "prefix":
            names = [f"'{name}" if name.startswith(cells.FORMULAS) else name for name in names]
        return names

    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Read with Arrow's streaming CSV parser, after comparing the header with Python's."""
        if self.is_folder:
            return self.read_parts(path, schema)

        @contextlib.contextmanager
        def opened() -> Iterator[IO[bytes]]:
            with (
                self.compression.decompressing(path) as file,
                decoded(file, self.encoding, bom=self.has_bom) as text,
            ):
                yield text

        return Reader(opened, self.dialect, self._headings(schema.names()), self.null, self.booleans).frames(schema)


_USUAL = ColumnFormat()


def _check_format(name: str, dtype: pl.DataType, form: ColumnFormat) -> None:
    """Refuse a format that the type of its column does not have."""
    wanted: Mapping[str, bool] = {
        "date_format": form.date_format is None or isinstance(dtype, (pl.Date, pl.Datetime, pl.Time)),
        "number_format": form.number_format is None or is_number(dtype),
    }
    for option, fits in wanted.items():
        if not fits:
            raise ConfigError(f"column_formats gives {name!r} a {option}, but it is of type {name_of(dtype)}")
    if form.date_format and isinstance(dtype, pl.Time) and has_date(form.date_format):
        raise ConfigError(
            f"column_formats gives the times of {name!r} the date pattern {form.date_format!r}",
            cure="Use tokens of times only, such as HH:mm:ss.",
        )


def _is_text(dtype: pl.DataType) -> bool:
    """Return whether CSV holds this type as text."""
    return dtype.is_nested() or isinstance(dtype, (pl.String, pl.Categorical, pl.Enum, pl.Binary, pl.Duration))
