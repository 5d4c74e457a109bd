"""The package around the sheets: which parts there are, how they hang together, whether each is well formed."""

from __future__ import annotations

import posixpath
import re
import struct
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from xml.etree import ElementTree as Tree

from isal import isal_zlib

from export_pipeline.formats.excel.reader.layout import Layout

_LONGEST = 31
"""Characters of a sheet's name, in UTF-16."""
_PACKED = 1 << 19
"""Deflated bytes that are read at a time."""
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_TYPES = "{http://schemas.openxmlformats.org/package/2006/content-types}"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"

# Formats that a file may name by a number only (ECMA-376, 18.8.30), as far as a code of ours can be one of them.
_BUILT_IN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?",
    13: "# ??/??", 14: "mm-dd-yy", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM",
    20: "h:mm", 21: "h:mm:ss", 22: "m/d/yy h:mm", 37: "#,##0_);(#,##0)", 38: "#,##0_);[Red](#,##0)",
    39: "#,##0.00_);(#,##0.00)", 40: "#,##0.00_);[Red](#,##0.00)", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mmss.0",
    48: "##0.0E+0", 49: "@",
}  # fmt: skip


class Workbook:
    """An open workbook. Every method raises ValueError (or what zipfile and the XML parser raise) for a broken file."""

    def __init__(self, path: Path, *, template: bool = False) -> None:
        self._path, self._template = path, template
        """Of a template, a file may have folders and refer to what is outside of it."""
        self._zip = zipfile.ZipFile(path)
        self._formats: list[str] | None = None
        self._shared: list[str] | None = None

    def __enter__(self) -> Workbook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def check_parts(self, streamed: Collection[str] | None = None) -> None:
        """Refuse parts that are not well formed, not declared, or declared and not there.

        Those that are streamed are read later; None: all sheets.
        """
        names = [name for name in self._zip.namelist() if not (self._template and name.endswith("/"))]
        if len(names) != len(set(names)):
            raise ValueError("a part is in the package twice")
        types = self.tree("[Content_Types].xml")
        declared = {
            part.attrib["PartName"].lstrip("/"): part.attrib["ContentType"] for part in types.iter(f"{_TYPES}Override")
        }
        endings = {part.attrib["Extension"] for part in types.iter(f"{_TYPES}Default")}
        for name in declared.keys() - set(names):
            raise ValueError(f"the part {name} is missing")
        for name in names:
            if name not in declared and name != "[Content_Types].xml" and name.rpartition(".")[2] not in endings:
                raise ValueError(f"the part {name} has no type")
            if name in streamed if streamed is not None else declared.get(name) == _SHEET:
                continue
            if name.endswith((".xml", ".rels")):
                self.tree(name)
            else:
                self._zip.read(name)  # its CRC must be right
            if name.endswith(".rels"):
                self._targets(name)

    def sheets(self, name: str) -> list[str]:
        """Return the parts of the sheet of this name and of those that its rows go on in, in order."""
        titles = self._titles()
        ours = [title for title in titles if _goes_on(title, name)]
        numbers = [_goes_on(title, name) for title in ours]
        if not ours or numbers != list(range(1, len(ours) + 1)):
            raise ValueError(f"the sheets of {name!r} are {', '.join(ours) or 'missing'}")
        targets = self._targets("xl/_rels/workbook.xml.rels")
        return [targets[titles[title]] for title in ours]

    def check_sheets(self, names: Sequence[str], summaries: Collection[str]) -> None:
        """Refuse sheets that are, or go on, none of these, and tabs in another order; summaries must be there."""
        titles = self._titles()
        missing = {name.casefold() for name in summaries}
        targets = self._targets("xl/_rels/workbook.xml.rels")
        order = []
        for title, relation in titles.items():
            if title.casefold() in missing:
                self.tree(targets[relation])  # it must be well formed
                missing.remove(title.casefold())
            else:
                order.append(next((n for n, name in enumerate(names) if _goes_on(title, name)), -1))
        if missing:
            raise ValueError(f"the sheet {min(missing)!r} is missing")
        if order != sorted(order) or -1 in order:
            raise ValueError(f"the sheets are {', '.join(titles)}, not {', '.join(names)}")

    def _titles(self) -> dict[str, str]:
        """Return name -> relation of the sheets that are shown, in the order of their tabs."""
        found = self.tree("xl/workbook.xml").findall(f"{_MAIN}sheets/{_MAIN}sheet")
        titles = [sheet.attrib["name"].casefold() for sheet in found]
        if not found or len(titles) != len(set(titles)):
            raise ValueError("there is no sheet, or two of one name")
        # Hidden are lists of values to choose from.
        return {sheet.attrib["name"]: sheet.attrib[_ID] for sheet in found if sheet.attrib.get("state") != "hidden"}

    def named_sheet(self, title: str) -> str:
        """Return the part of the sheet with this name."""
        targets = self._targets("xl/_rels/workbook.xml.rels")
        for sheet in self.tree("xl/workbook.xml").iter(f"{_MAIN}sheet"):
            if sheet.attrib["name"] == title:
                return targets[sheet.attrib[_ID]]
        raise ValueError(f"there is no sheet {title!r}")

    def shared(self, number: int) -> str:
        """Return a text that the sheets share."""
        if self._shared is None:
            items = self.tree("xl/sharedStrings.xml").findall(f"{_MAIN}si")
            spoken = [{id(t) for guide in item.iter(f"{_MAIN}rPh") for t in guide} for item in items]
            self._shared = [
                "".join(t.text or "" for t in item.iter(f"{_MAIN}t") if id(t) not in skipped)
                for item, skipped in zip(items, spoken, strict=True)
            ]
        return self._shared[number]

    def tables(self, sheet: str) -> Iterator[tuple[str, Tree.Element]]:
        """Yield the tables of a sheet, each with the name of its part."""
        folder, name = posixpath.split(sheet)
        relations = f"{folder}/_rels/{name}.rels"
        if relations not in self._zip.namelist():
            return
        for part in self._targets(relations).values():
            if part.endswith(".xml") and (tree := self.tree(part)).tag == f"{_MAIN}table":
                yield part, tree

    def stream(self, part: str, size: int) -> Iterator[bytes]:
        """Yield the bytes of a part, about `size` at a time; at the end size and CRC must be those of the directory.

        zipfile finds the part; it is inflated here, by a library that takes half the time.
        """
        entry = self._zip.getinfo(part)
        if entry.compress_type != zipfile.ZIP_DEFLATED:
            raise ValueError(f"{part} is not deflated")
        inflater, left, crc, length = isal_zlib.decompressobj(-15), entry.compress_size, 0, 0
        with self._path.open("rb") as file:
            file.seek(entry.header_offset)
            signature, name, extra = struct.unpack("<4s22xHH", file.read(30))
            if signature != b"PK\x03\x04" or file.read(name).decode() != part:
                raise ValueError(f"{part} is not where the directory says")
            file.seek(extra, 1)
            while not inflater.eof:
                packed = inflater.unconsumed_tail or file.read(min(left, _PACKED))
                left -= 0 if inflater.unconsumed_tail else len(packed)
                data = inflater.decompress(packed, size)
                if not data and not packed:
                    raise ValueError(f"{part} ends too early")
                crc, length = isal_zlib.crc32(data, crc), length + len(data)
                if data:
                    yield data
        if (crc, length, left) != (entry.CRC, entry.file_size, 0) or inflater.unused_data:
            raise ValueError(f"{part} is not as long as it should be, or has another CRC")

    def number_format(self, style: int) -> str:
        """Return the number format of cells with `s="style"`."""
        if self._formats is None:
            styles = self.tree("xl/styles.xml")
            own = {int(f.attrib["numFmtId"]): f.attrib["formatCode"] for f in styles.iter(f"{_MAIN}numFmt")}
            cells = styles.findall(f"{_MAIN}cellXfs/{_MAIN}xf")
            known = _BUILT_IN | own
            self._formats = [known.get(int(cell.attrib.get("numFmtId", 0)), "?") for cell in cells]
        return self._formats[style]

    def check_tables(self, sheet: str, rows: int, layout: Layout) -> None:
        """Refuse tables that do not span the sheet's rows or have other headers: Excel repairs those."""
        for part, table in self.tables(sheet):
            named = [_unescaped(c.attrib["name"]) for c in table.iter(f"{_MAIN}tableColumn")]
            if named != layout.headers:
                raise ValueError(f"the columns of {part} are not the headers")
            end = re.fullmatch(r"A(\d+):([A-Z]+)(\d+)", table.attrib["ref"])
            first, last = layout.first - 1, layout.first - 1 + max(rows, 1) + layout.totals
            if end is None or number_of(end[2]) != layout.width or (int(end[1]), int(end[3])) != (first, last):
                raise ValueError(f"{part} spans {table.attrib['ref']}, not the {rows:,} rows of its sheet")
            if int(table.attrib.get("totalsRowCount", 0)) != layout.totals:
                raise ValueError(f"{part} has not as many rows of totals as its sheet")

    def tree(self, part: str) -> Tree.Element:
        """Return a part of XML, parsed."""
        return Tree.fromstring(self._zip.read(part))  # noqa: S314 (expat, no entities: the file is ours)

    def _targets(self, relations: str) -> dict[str, str]:
        """Return id -> part of what a part refers to; ValueError where it is not there."""
        folder = posixpath.dirname(posixpath.dirname(relations))
        targets = {}
        for relation in self.tree(relations).iter(_RELATION):
            if self._template and relation.get("TargetMode") == "External":
                continue
            path = relation.attrib["Target"]
            target = path.lstrip("/") if path.startswith("/") else posixpath.normpath(posixpath.join(folder, path))
            if target not in self._zip.namelist():
                raise ValueError(f"{relations} names a part that is not there: {target}")
            targets[relation.attrib["Id"]] = target
        return targets


def _goes_on(title: str, name: str) -> int:
    """Return 1 for the sheet of this name, n for the n-th that its rows go on in, 0 for any other sheet."""
    if title == name:
        return 1
    found = re.fullmatch(r"(.*) \((\d+)\)", title, re.DOTALL)
    if not found or int(found[2]) < 2:
        return 0
    # A name that would be longer than 31 with its number is cut before it.
    cut = len(title.encode("utf-16-le")) // 2 >= _LONGEST - 1 and name.startswith(found[1])
    return int(found[2]) if found[1] == name or cut else 0


def number_of(letters: str) -> int:
    """Return the number of a column, counted from 1."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _unescaped(text: str) -> str:
    return re.sub("_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)
