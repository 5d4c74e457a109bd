"""A template as it lies on the disk: its parts, their packed bytes, and how they hang together."""

from __future__ import annotations

import io
import posixpath
import struct
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from xml.etree import ElementTree as Tree

from export_pipeline.errors import ConfigError

if TYPE_CHECKING:
    from export_pipeline.formats.about import About

MAX_FILE, MAX_RAW, MAX_PARTS = 100_000_000, 300_000_000, 10_000
"""Bytes of the file, bytes of all its parts unpacked, and parts: more is no template but an attack, or a mistake."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SAVE = "Open it in Excel and save it as an Excel workbook, template or macro-enabled one of these (.xlsx, .xltx, ...)."
_RELATIONS = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_TYPES = "{http://schemas.openxmlformats.org/package/2006/content-types}"
_MAIN = "application/vnd.openxmlformats-officedocument.spreadsheetml.{}.main+xml"
_MACRO = "application/vnd.ms-excel.{}.macroEnabled.main+xml"

MAIN_TYPES = {
    ".xlsx": _MAIN.format("sheet"), ".xltx": _MAIN.format("template"),
    ".xlsm": _MACRO.format("sheet"), ".xltm": _MACRO.format("template"),
}  # fmt: skip
"""Ending of a template -> the content type of its workbook part."""
FILLED = {".xlsx": ".xlsx", ".xltx": ".xlsx", ".xlsm": ".xlsm", ".xltm": ".xlsm"}
"""Ending of a template -> ending of the workbooks that are made from it."""


@dataclass(frozen=True)
class Relation:
    """What one part says of another."""

    kind: str
    """Last word of its type: `worksheet`, `table`, ..."""
    target: str
    """Name of the other part; as it is written for what is outside of the file."""


@dataclass(frozen=True)
class Packed:
    """A part as it is in the file."""

    data: bytes
    method: int
    crc: int
    raw: int


class Archive:
    """An open template. Its methods raise ConfigError, which names the template, for what is broken."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name, self._data = name, data
        if data.startswith(_OLE):
            self.refuse("is encrypted, or a workbook of Excel 97 to 2003 (.xls)", f"Remove its password. {_SAVE}")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, struct.error, ValueError):
            self.refuse("is no workbook", _SAVE)
        self._entries = {entry.filename: entry for entry in self._zip.infolist()}
        self._check_sizes()
        if "[Content_Types].xml" not in self._entries:
            self.refuse("is a zip file, but no workbook", _SAVE)
        self.workbook = next((r.target for r in self.relations("").values() if r.kind == "officeDocument"), "")
        if self.workbook not in self._entries:
            self.refuse("is a zip file, but no workbook", _SAVE)
        self._check_kind()

    @classmethod
    def load(cls, file: str, about: About) -> Archive:
        """Return the template of this name; relative names stand in the folder of the export."""
        return cls(about.read("excel: template", file, MAX_FILE), file)

    def refuse(self, why: str, cure: str | None = None) -> NoReturn:
        """Raise ConfigError that names the template."""
        raise ConfigError(f"excel: template: {self.name!r} {why}", cure=cure)

    @property
    def parts(self) -> list[str]:
        """Names of all parts, in their order; no folders."""
        return [name for name in self._entries if not name.endswith("/")]

    def read(self, part: str) -> bytes:
        """Return the bytes of a part."""
        if part not in self._entries:
            self.refuse(f"is broken: its part {part} is missing", _SAVE)
        try:
            return self._zip.read(part)
        except Exception as error:  # whatever zipfile and zlib raise for bytes that are not what they should be
            raise ConfigError(
                f"excel: template: {self.name!r} is broken: {part} cannot be read: {error}", cure=_SAVE
            ) from error

    def xml(self, part: str) -> bytes:
        """Return a part of XML. Entities, which can grow without end, and encodings but UTF-8 are refused."""
        data = self.read(part).removeprefix(b"\xef\xbb\xbf")
        head = data[:200].lower()
        if b"<!doctype" in data[:100_000].lower() or b"<!entity" in data.lower():
            self.refuse(f"is no workbook of Excel: {part} declares a document type", _SAVE)
        if data[:2] in (b"\xff\xfe", b"\xfe\xff") or (b"encoding=" in head and b"utf-8" not in head.split(b"?>")[0]):
            self.refuse(f"is no workbook of Excel: {part} is not UTF-8", _SAVE)
        return data

    def tree(self, part: str) -> Tree.Element:
        """Return a part of XML, parsed."""
        try:
            return Tree.fromstring(self.xml(part))  # noqa: S314 - entities are refused
        except Tree.ParseError as error:
            raise ConfigError(f"excel: template: {self.name!r} is broken: {part}: {error}", cure=_SAVE) from error

    def packed(self, part: str) -> Packed:
        """Return a part as it is packed, to be copied."""
        entry = self._entries[part]
        size, extra = struct.unpack("<HH", self._data[entry.header_offset + 26 : entry.header_offset + 30])
        begin = entry.header_offset + 30 + size + extra
        self.read(part)  # its CRC must be right
        return Packed(self._data[begin : begin + entry.compress_size], entry.compress_type, entry.CRC, entry.file_size)

    def relations(self, part: str) -> dict[str, Relation]:
        """Return what a part refers to, by id; `""` is the package."""
        folder, file = posixpath.split(part)
        name = posixpath.join(folder, "_rels", f"{file}.rels")
        if name not in self._entries:
            return {}
        found = {}
        for relation in self.tree(name).iter(_RELATIONS):
            target, kind = relation.get("Target", ""), relation.get("Type", "").rpartition("/")[2]
            if relation.get("TargetMode") != "External":
                inside = target.startswith("/")
                target = target.lstrip("/") if inside else posixpath.normpath(posixpath.join(folder, target))
            found[relation.get("Id", "")] = Relation(kind, target)
        return found

    @cached_property
    def types(self) -> dict[str, str]:
        """Content type of each part."""
        tree = self.tree("[Content_Types].xml")
        own = {e.get("PartName", "").lstrip("/"): e.get("ContentType", "") for e in tree.iter(f"{_TYPES}Override")}
        endings = {e.get("Extension", "").lower(): e.get("ContentType", "") for e in tree.iter(f"{_TYPES}Default")}
        return {part: own.get(part, endings.get(part.rpartition(".")[2].lower(), "")) for part in self.parts}

    def _check_sizes(self) -> None:
        """Refuse packages that would grow without end, and what cannot be copied."""
        entries = self._zip.infolist()
        if len(entries) > MAX_PARTS or len(entries) != len(self._entries):
            self.refuse(f"is no workbook: it has more than {MAX_PARTS:,} parts, or two of one name", _SAVE)
        raw = sum(entry.file_size for entry in entries)
        if raw > MAX_RAW or sum(entry.compress_size for entry in entries) > len(self._data):
            self.refuse(f"has {raw:,} bytes of parts; a template has at most {MAX_RAW:,}", "Remove its rows of data.")
        for entry in entries:
            if entry.flag_bits & 1:
                self.refuse("is encrypted", f"Remove its password. {_SAVE}")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                self.refuse(f"packs {entry.filename} in a way that Excel does not know", _SAVE)

    def _check_kind(self) -> None:
        """Refuse what is no workbook of the kind that its name says, and what a change would break."""
        ending, kind = Path(self.name).suffix.lower(), self.types[self.workbook]
        if kind != MAIN_TYPES.get(ending):
            right = next((known for known, main in MAIN_TYPES.items() if main == kind), None)
            cure = f"Name it {Path(self.name).with_suffix(right)}." if right else _SAVE
            self.refuse(f"is no {ending} workbook inside", cure)
        if b"http://purl.oclc.org/ooxml/" in self.xml(self.workbook):
            self.refuse("is a workbook in the strict form of Open XML", "Save it as the usual Excel workbook.")
        if any(name.startswith("_xmlsignatures/") for name in self._entries):
            self.refuse("is digitally signed; filled, its signature would be broken", "Remove the signature.")
