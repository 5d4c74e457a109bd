"""What the rules of ECMA-376 say of a workbook, as Microsoft's own Open XML SDK states them.

Where that validator does not look (it takes broken XML as it is, and does not follow ids), `references` does.
"""

from __future__ import annotations

import functools
import os
import re
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Tree

from openxml_audit import FileFormat, OpenXmlValidator

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_ALLOWED = re.compile("inline-string cell")
"""Inline texts are meant: Excel reads them, and they stream."""


@functools.cache
def validator() -> Any:
    return OpenXmlValidator(file_format=FileFormat.OFFICE_2019, max_errors=1_000)


def complaints(path: Path) -> list[str]:
    """Return what is wrong with a workbook."""
    found = [f"{e.part_uri} {e.path}: {e.description}" for e in validator().validate(path).errors]
    return [complaint for complaint in found if not _ALLOWED.search(complaint)] + list(references(path))


def references(path: Path) -> list[str]:
    """Return which parts are not well formed, not typed or not there, and which ids lead nowhere."""
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    trees = {name: Tree.fromstring(part) for name, part in parts.items() if name.endswith((".xml", ".rels"))}
    types = trees["[Content_Types].xml"]
    typed = {element.get("PartName", "").lstrip("/") for element in types}
    endings = {element.get("Extension") for element in types} - {"xml", None}
    wrong = [
        f"{name} has no type" for name in parts if name not in typed and name.rpartition(".")[2] not in endings
        and name != "[Content_Types].xml"
    ]  # fmt: skip
    for name, tree in trees.items():
        folder = Path(name).parent.parent
        for target in [e.get("Target", "") for e in tree] if name.endswith(".rels") else []:
            if os.path.normpath(target.lstrip("/") if target.startswith("/") else folder / target) not in parts:
                wrong.append(f"{name} names {target}, which is not there")
    styles = trees["xl/styles.xml"]
    formats = len(styles.findall(f"{_MAIN}cellXfs/{_MAIN}xf"))
    looks = len(styles.findall(f"{_MAIN}dxfs/{_MAIN}dxf"))
    for name, tree in trees.items():
        if name.startswith("xl/worksheets/sheet"):
            wrong += [f"{name}: style {c.get('s')}" for c in tree.iter(f"{_MAIN}c") if int(c.get("s", 0)) >= formats]
            rules = [int(rule.get("dxfId", 0)) for rule in tree.iter(f"{_MAIN}cfRule") if rule.get("dxfId")]
            wrong += [f"{name}: look {rule} of {looks}" for rule in rules if rule >= looks]
    tables = [tree for name, tree in trees.items() if name.startswith("xl/tables/")]
    for what in ("id", "displayName"):
        if len({table.get(what) for table in tables}) < len(tables):
            wrong.append(f"two tables have one {what}")
    return wrong
