"""CSV: opens everywhere, keeps no types. RFC 4180 unless told otherwise."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, ClassVar, Literal

import polars as pl
from pydantic import BeforeValidator, model_validator

from export_pipeline.errors import ConfigError, FormatError
from export_pipeline.formats.base import About
from export_pipeline.formats.readers import arrow_type, frame_of, growing
from export_pipeline.formats.split import SplitFormat
from export_pipeline.formats.texts import (
    finite,
    held,
    json_text,
    refusal,
    refuse_non_finite,
    refuse_objects,
    refuse_years,
    text_losses,
    zoned,
)
from export_pipeline.verification import Loss

_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_TERMINATORS = {"lf": "\n", "crlf": "\r\n"}
_STYLES: dict[str, Literal["always", "necessary", "never"]] = {"all": "always", "minimal": "necessary", "none": "never"}

_QUOTING: dict[str, Literal[0, 1, 3]] = {"all": csv.QUOTE_ALL, "minimal": csv.QUOTE_MINIMAL, "none": csv.QUOTE_NONE}


def _named(names: dict[str, str]) -> BeforeValidator:
    """Accept a character by its name too: a tab is hard to see in YAML."""
    return BeforeValidator(lambda given: names.get(given, given) if isinstance(given, str) else given)


class Csv(SplitFormat):
    """Comma-separated values: opens everywhere, keeps no types."""

    tag: ClassVar[str] = "csv"
    extension: ClassVar[str] = ".csv"
    media_type: ClassVar[str] = "text/csv"

    delimiter: Annotated[Literal[",", ";", "\t", "|"], _named(_DELIMITERS)] = ","
    """Character between two fields: `,` `;` `|` or a tab (`"\\t"` or `tab`)."""
    headers: bool | list[str] = True
    """Whether the first record holds the column names; a list replaces them, in the order of the columns."""
    quotes: Literal["all", "minimal", "none"] = "minimal"
    """Which fields are quoted: all of them, those that need it, or none (values that need it are then refused)."""
    line_terminator: Annotated[Literal["\r\n", "\n"], _named(_TERMINATORS)] = "\r\n"
    """End of each record: `"\\r\\n"` (`crlf`, as RFC 4180 says) or `"\\n"` (`lf`)."""
    null_value: str = ""
    """Text that stands for null. Empty text is told from it by quotes (`""`) where `quotes` is `minimal`."""
    booleans: tuple[str, str] = ("true", "false")
    """Texts for true and false."""
    non_finite: Literal["string", "null", "error"] = "string"
    """What NaN and the infinities become: the texts `NaN`, `inf`, `-inf`; null; or an error that names the row."""

    @model_validator(mode="after")
    def _distinct(self) -> Csv:
        """Refuse texts that could not be told apart when the file is read."""
        texts = {"null_value": self.null_value, "true": self.booleans[0], "false": self.booleans[1]}
        if len(set(texts.values())) < len(texts):
            raise ValueError(f"null_value and booleans must be three different texts, not {list(texts.values())}")
        for what, text in texts.items():
            if any(mark in text for mark in (self.delimiter, '"', "\r", "\n")):
                raise ValueError(f"the text for {what}, {text!r}, must not hold the delimiter, a quote or a line end")
        return self

    def check(self, schema: pl.Schema) -> None:
        """Refuse header lists of the wrong length, names that cannot stay unquoted, columns of objects."""
        refuse_objects(schema, "CSV")
        names = self._names(schema.names())
        if len(names) != len(schema):
            raise ConfigError(
                f"headers names {len(names)} columns, there are {len(schema)}: {', '.join(schema.names())}",
                cure="Give one header per column, in their order, or true.",
            )
        if self.quotes == "none" and self.headers is not False:
            for name in names:
                if any(mark in name for mark in (self.delimiter, "\r", "\n")) or names == [""]:
                    raise ConfigError(f"the header {name!r} needs quotes", cure="Use quotes: minimal, or rename it.")

    def losses(self, schema: pl.Schema) -> list[Loss]:
        """Return what these options lose: types of columns, and nulls where no quotes tell them from texts."""
        found = list(text_losses(schema, self.non_finite))
        shown = repr(self.null_value)
        for name, dtype in schema.items():
            if dtype.is_nested():
                found.append(Loss(column=name, why="nested values become JSON text"))
            if self.quotes == "all" and self._is_text(dtype):
                found.append(Loss(column=name, why=f"null becomes the text {shown}: every field is quoted"))
            if self.quotes == "none" and self._is_text(dtype):
                found.append(Loss(column=name, why=f"the text {shown} becomes null: no quotes tell them apart"))
        if len(schema) == 1 and self.null_value == "" and self.quotes != "all":
            found.append(Loss(why="null becomes an empty line, which some readers skip; set null_value"))
        return found

    def render(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Cast what CSV has no form for to text, and apply the policies for null and non-finite numbers."""
        changed = []
        for name, dtype in rows.collect_schema().items():
            column = pl.col(name)
            value = json_text(column, dtype) if dtype.is_nested() else held(column, dtype)
            if dtype.is_float() and self.non_finite == "null":
                value = finite(value)
            if self._is_text(dtype) and self.quotes == "all":
                value = value.fill_null(self.null_value)
            if self._is_text(dtype) and self.quotes == "none":
                value = pl.when(value != self.null_value).then(value)
            if value is not column:
                changed.append(value.alias(name))
        return rows.with_columns(changed) if changed else rows

    def inspect(self, frame: pl.DataFrame, start: int) -> None:
        """Refuse years beyond four digits, and what `non_finite` or missing quotes forbid."""
        refuse_years(frame, start)
        if self.non_finite == "error":
            refuse_non_finite(frame, start)
        if self.quotes == "none":
            for name, dtype in frame.schema.items():
                if isinstance(dtype, pl.String):
                    wrong = frame[name].str.contains(self._special(quote=False)).fill_null(value=False)
                    if wrong.any():
                        raise refusal(name, start, wrong, "needs quotes", "Use quotes: minimal.")

    def continued(self) -> Csv:
        """Return the format of a part's later records."""
        return self.replace(split=None, headers=False)

    def encode(self, rows: pl.LazyFrame, sink: BinaryIO, about: About) -> None:  # noqa: ARG002
        """Write the header, then stream the records through Polars' CSV sink."""
        schema = rows.collect_schema()
        style = _STYLES[self.quotes]
        # Polars does not quote a text that equals null_value: such columns are quoted here, and left alone there.
        quoted = self.quotes == "minimal" and self.null_value != ""
        changed = [
            value.alias(name)
            for name, dtype in schema.items()
            if (value := self._written(pl.col(name), dtype, quoted=quoted)) is not None
        ]
        if self.headers is not False:
            sink.write(self._record(self._names(schema.names())))
        (rows.with_columns(changed) if changed else rows).sink_csv(
            sink,
            include_header=False,
            separator=self.delimiter,
            line_terminator=self.line_terminator,
            quote_style="never" if quoted else style,
            null_value=self.null_value,
            engine="streaming",
        )

    def read(self, path: Path, schema: pl.Schema) -> Iterator[pl.DataFrame]:
        """Read with Arrow's streaming CSV parser, after comparing the header with Python's."""
        if self.split is not None:
            yield from self.read_parts(path, schema)
            return
        with self.compression.decompressing(path) as file:
            empty = not file.read(1)
        if self.headers is not False:
            self._check_header(path, schema)
        if not empty:
            for batch in growing(lambda block: self._batches(path, schema, block)):
                yield frame_of(batch, schema)

    def _batches(self, path: Path, schema: pl.Schema, block: int) -> Iterator[Any]:
        import pyarrow.csv as arrow

        names = [str(n) for n in range(len(schema))]  # by position: names may be the same but for their case
        with (
            self.compression.decompressing(path) as file,
            arrow.open_csv(
                file,
                read_options=arrow.ReadOptions(
                    column_names=names, skip_rows_after_names=int(self.headers is not False), block_size=block
                ),
                parse_options=arrow.ParseOptions(
                    delimiter=self.delimiter,
                    quote_char=False if self.quotes == "none" else '"',
                    newlines_in_values=self.quotes != "none",
                    ignore_empty_lines=False,
                ),
                convert_options=arrow.ConvertOptions(
                    column_types=dict(zip(names, map(arrow_type, schema.dtypes()), strict=True)),
                    null_values=[self.null_value],
                    true_values=[self.booleans[0]],
                    false_values=[self.booleans[1]],
                    strings_can_be_null=self.quotes != "all",
                    quoted_strings_can_be_null=self.quotes == "all",
                ),
            ) as batches,
        ):
            yield from batches

    def _check_header(self, path: Path, schema: pl.Schema) -> None:
        """Compare the first record with the names."""
        with (
            self.compression.decompressing(path) as file,
            io.TextIOWrapper(file, encoding="utf-8", newline="") as text,
        ):
            found = next(csv.reader(text, delimiter=self.delimiter, quoting=_QUOTING[self.quotes], strict=True), [])
        if found != self._names(schema.names()):
            raise FormatError(f"the header is {found}, not {self._names(schema.names())}")

    def _names(self, columns: list[str]) -> list[str]:
        return self.headers if isinstance(self.headers, list) else columns

    def _record(self, texts: list[str]) -> bytes:
        """Return a record of texts, quoted like all others."""
        text = io.StringIO()
        if self.quotes == "none":
            text.write(self.delimiter.join(texts) + self.line_terminator)
        else:
            writer = csv.writer(
                text, delimiter=self.delimiter, quoting=_QUOTING[self.quotes], lineterminator=self.line_terminator
            )
            writer.writerow(texts)
        return text.getvalue().encode()

    def _written(self, column: pl.Expr, dtype: pl.DataType, *, quoted: bool) -> pl.Expr | None:
        """Return how a column is spelled where Polars' sink would spell it differently."""
        if isinstance(dtype, pl.Boolean) and self.booleans != ("true", "false"):
            yes, no = map(pl.lit, self.booleans)
            return pl.when(column).then(yes).when(~column).then(no)
        if isinstance(dtype, pl.Datetime) and dtype.time_zone:
            return zoned(column, dtype)
        if isinstance(dtype, pl.String) and quoted:
            needed = column.str.contains(self._special(quote=True)) | column.is_in(["", self.null_value])
            inner = column.str.replace_all('"', '""', literal=True)
            return pl.when(needed).then(pl.concat_str(pl.lit('"'), inner, pl.lit('"'))).otherwise(column)
        return None

    def _special(self, *, quote: bool) -> str:
        """Return a pattern for the characters that cannot stand in a field without quotes."""
        return "[" + self.delimiter + "\r\n" + ('"]' if quote else "]")

    @staticmethod
    def _is_text(dtype: pl.DataType) -> bool:
        """Return whether CSV holds this type as text."""
        return dtype.is_nested() or isinstance(dtype, (pl.String, pl.Categorical, pl.Enum, pl.Binary, pl.Duration))
