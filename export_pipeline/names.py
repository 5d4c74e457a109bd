"""File names from templates: ``{name}-{date:YYYY-MM-DD-HHmm}`` is ``failed-commands-2026-11-23-0630.csv``.

======================  ==================================================================================
field                   value
======================  ==================================================================================
``{name}``              the export
``{output}``            the output, where one export makes several files
``{format}``            the format's tag: ``csv``
``{date:YYYY-MM-DD}``   the logical time in the export's zone, as a moment.js pattern; bare: ``YYYY-MM-DD``
``{run_id}``            the run; ``{run_id:8}`` its first eight characters
``{part}``              number of the part, from 1; ``{part:3}`` with leading zeros: ``001``
======================  ==================================================================================

``{{`` and ``}}`` are braces. A slash in the template, or in the pattern of a date, makes a folder; a *value* never adds
a level: what may not stand in a name becomes ``_``. A name that could leave its folder, or that Windows, macOS or Linux
would not take, is refused, as far as possible when the export is read and not when it runs.
The extension follows the format and its compression and is added where the template does not end with it.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.times import moment

DEFAULT_FILE_NAME = "{name}-{date:YYYY-MM-DD-HHmm}"
"""To the minute: the files of an hourly export do not replace each other, and names sort by time."""

LONGEST = 200
"""Bytes of one part of a name: file systems take 255, and temporary names and ``(2)`` need some."""

RESERVED = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))})
"""Names that Windows keeps for devices, with any extension."""

_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069<>:"|?*\\]')
"""Control characters, marks that turn the direction of text (they disguise extensions), and what Windows refuses."""

_SAME_CONTENT: Mapping[str, tuple[str, ...]] = {
    "csv": ("csv", "tsv", "tab", "txt"),
    "json": ("json", "ndjson", "jsonl", "geojson"),
    "ndjson": ("ndjson", "jsonl", "json"),
    "parquet": ("parquet", "pq"),
}
"""Extensions that tell the truth about a format too; a template that ends with one keeps it."""

_COMPRESSED = ("gz", "zst", "br", "bz2", "xz", "lz4", "zip", "pgp", "gpg")
"""Extensions that stand behind the extension of the content."""


class Suffixed(Protocol):
    """What is asked of a format: its tag and the end of its files' names (``.csv.gz.pgp``)."""

    @property
    def tag(self) -> str: ...  # noqa: D102
    @property
    def full_suffix(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class _Field:
    """How a field of a template is written out."""

    sample: object
    write: Callable[[Any, str], str]


def _text(value: str, spec: str) -> str:
    if spec and not (spec.isascii() and spec.isdigit() and 0 < int(spec) <= 99):
        raise ValueError(f"what follows ':' is the number of characters to keep (1-99), not {spec!r}")
    return clean(value[: int(spec)] if spec else value)


def _number(value: int, spec: str) -> str:
    if spec and not (spec.isascii() and spec.isdigit() and 0 < int(spec) <= 9):
        raise ValueError(f"what follows ':' is the number of digits (1-9), not {spec!r}")
    return f"{value:0{int(spec or 1)}d}"


def _date(value: datetime, spec: str) -> str:
    return moment(spec or "YYYY-MM-DD", value)


_FIELDS: Mapping[str, _Field] = {
    "name": _Field("name", _text),
    "output": _Field("output", _text),
    "format": _Field("csv", _text),
    "date": _Field(datetime(2026, 11, 23, 16, 30, 59, tzinfo=UTC), _date),
    "run_id": _Field("0f8d2c5e-7a41-4f0b-9d0c-2f6b1a3e4c5d", _text),
    "part": _Field(1, _number),
}


def clean(value: str) -> str:
    """Return `value` as it may stand inside one part of a file name: ``a/b`` is ``a_b``, ``..`` is ``__``."""
    text = unicodedata.normalize("NFC", value).replace("/", "_")
    text = _UNSAFE.sub("_", text)
    dots = len(text) - len(text.lstrip("."))
    return "_" * dots + text[dots:]


def _parse(template: str) -> Iterator[tuple[str, str | None, str]]:
    """Yield (text, field or None, what follows the colon); raise ConfigError that names what is wrong."""
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(f"the file name {template!r} has a brace without its partner: {error}") from error
    for text, field, spec, conversion in pieces:
        if field is not None:
            if conversion or "{" in (spec or "") or not re.fullmatch(r"\w+", field):
                shown = f"{{{field}{'!' + conversion if conversion else ''}}}"
                raise ConfigError(f"the file name {template!r} has {shown}: a field is a plain name, as in {{name}}")
            if field not in _FIELDS:
                raise ConfigError(
                    f"the file name {template!r} has an unknown field {field!r} ({did_you_mean(field, _FIELDS)})"
                )
        yield text, field, spec or ""


def _fill(template: str, values: Mapping[str, object]) -> str:
    """Return the template with its fields written out."""
    out: list[str] = []
    for text, field, spec in _parse(template):
        out.append(text)
        if field is not None:
            try:
                out.append(_FIELDS[field].write(values[field], spec))
            except ConfigError:
                raise
            except ValueError as error:
                raise ConfigError(f"the file name {template!r}: {{{field}:{spec}}}: {error}") from error
    return unicodedata.normalize("NFC", "".join(out))


def check_relative(name: str, what: str = "the file name") -> str:
    """Return a relative path below a folder if it is safe on every system, else raise ConfigError that says why."""
    if not name.strip():
        raise ConfigError(f"{what} is empty")
    found = _UNSAFE.search(name)
    if found:
        cure = "Write times as HHmm, without a colon." if found.group() == ":" else None
        raise ConfigError(f"{what} {name!r} has the character {found.group()!r}, which names may not have", cure=cure)
    if name.startswith("/"):
        raise ConfigError(f"{what} {name!r} is absolute; it stands below the folder of the destination")
    for part in name.split("/"):
        wrong = _wrong_part(part)
        if wrong:
            raise ConfigError(f"{what} {name!r} {wrong}")
    return name


def _wrong_part(part: str) -> str | None:
    """Return what is wrong with one part of a path, None if it is fine."""
    if part in ("", ".", ".."):
        return f"has the part {part!r}, which may leave its folder"
    if part.startswith("."):
        return f"has the hidden part {part!r}"
    if part[-1] in ". " or part[0] == " ":
        return f"has the part {part!r}, which begins or ends with a space or ends with a dot"
    if part.split(".")[0].rstrip().upper() in RESERVED:
        return f"has the part {part!r}, which Windows keeps for a device"
    if len(part.encode()) > LONGEST:
        return f"has a part of {len(part.encode())} bytes; at most {LONGEST} are safe"
    return None


def check_file_name(value: object) -> str:
    """Return a template that can be filled; ConfigError for unknown fields and names that may leave the folder."""
    if not isinstance(value, str):
        raise ConfigError(f"a file name is text such as {DEFAULT_FILE_NAME!r}, not {value!r}")
    if value.endswith("/"):
        raise ConfigError(f"the file name {value!r} ends with '/': the name of the file is missing")
    check_relative(_fill(value, {name: field.sample for name, field in _FIELDS.items()}) + ".csv")
    return value


def with_extension(name: str, extension: str, compression: str = "") -> str:
    """Return the name with the extensions of its content and its compression; those that it has are not repeated.

    >>> with_extension("a.csv", "csv", "gz"), with_extension("a.tsv", "csv"), with_extension("a.csv", "json")
    ('a.csv.gz', 'a.tsv', 'a.csv.json')
    >>> with_extension("a.csv.gz", "csv", "gz.pgp")
    'a.csv.gz.pgp'
    """
    extension = extension.lstrip(".")
    stem, ends = name, ""
    for part in reversed(compression.lstrip(".").split(".") if compression else []):
        if stem.lower().endswith(f".{part.lower()}"):
            stem, ends = stem[: -len(part) - 1], stem[-len(part) - 1 :] + ends
        else:
            ends = f".{part}{ends}"
    known = tuple(f".{ending}" for ending in _SAME_CONTENT.get(extension, (extension,)))
    if extension and not stem.lower().endswith(known):
        stem = f"{stem}.{extension}"
    return stem + ends


def numbered(name: str, number: int) -> str:
    """Return the name of the `number`-th version: ``a/b.csv.gz``, then ``a/b (2).csv.gz``."""
    if number == 1:
        return name
    folder, slash, last = name.rpartition("/")
    stem, dot, ending = last.rpartition(".")
    while ending.partition(".")[0].lower() in _COMPRESSED and "." in stem:
        stem, _, inner = stem.rpartition(".")
        ending = f"{inner}.{ending}"
    if not stem:
        stem, dot, ending = last, "", ""
    return f"{folder}{slash}{stem} ({number}){dot}{ending}"


def render_file_name(
    template: str,
    *,
    name: str,
    logical_time: datetime,
    run_id: str,
    output: str,
    format: Suffixed,  # noqa: A002
    part: int = 1,
) -> str:
    """Return the file's name below the folder of a destination, with its extension.

    `logical_time` is in the zone of the export. Raises ConfigError for a name that is not safe.
    """
    filled = _fill(
        template,
        {"name": name, "output": output, "format": format.tag, "date": logical_time, "run_id": run_id, "part": part},
    )
    extension, _, compression = format.full_suffix.lstrip(".").partition(".")
    return check_relative(with_extension(filled, extension, compression))
