"""Pictures on a sheet: a logo. Their files are copied byte for byte; their size is read from their first bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from export_pipeline.errors import ConfigError
from export_pipeline.formats.excel.styles import CellAddress
from export_pipeline.options import NamesFiles, Options

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

    from export_pipeline.formats.about import About
    from export_pipeline.formats.excel.look import Look

MAX_BYTES = 10_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
"""JPEG markers before the size of the picture."""


class Image(Options):
    """A picture on each sheet."""

    file: Annotated[str, Field(min_length=1), NamesFiles]
    """A PNG or JPEG file of at most 10 MB; relative to the home folder (for an export file elsewhere: to that file),
    and in a folder that exports may read."""
    cell: CellAddress = "A1"
    """The cell that its upper left corner stands on; `first_row` makes room above the data."""
    width: int | None = Field(None, ge=1, le=10_000)
    """Width in pixels; null: its own, or what goes with the height."""
    height: int | None = Field(None, ge=1, le=10_000)
    """Height in pixels; null: its own, or what goes with the width."""

    def load(self, about: About) -> Picture:
        """Return the picture; ConfigError where there is none, or where it may not be read."""
        data = about.read("excel: images", self.file, MAX_BYTES)
        kind, width, height = _size(data, self.file)
        if self.width and not self.height:
            shown = (self.width, max(1, round(height * self.width / width)))
        elif self.height and not self.width:
            shown = (max(1, round(width * self.height / height)), self.height)
        else:
            shown = (self.width or width, self.height or height)
        return Picture(data, kind, self.cell, *shown)


@dataclass(frozen=True)
class Picture:
    """The bytes of a picture and where it stands."""

    data: bytes
    kind: str
    cell: str
    width: int
    height: int


def load(images: Sequence[Image], about: About) -> list[Picture]:
    """Return the pictures of these files."""
    return [image.load(about) for image in images]


def place_images(sheet: Worksheet, look: Look, number: int, rows: int) -> None:  # noqa: ARG001
    """Put the pictures on a sheet."""
    from openpyxl.drawing.image import Image as Drawn

    class Ready(Drawn):  # type: ignore[misc]
        """A picture whose bytes are known; openpyxl would ask Pillow for them."""

        def __init__(self, picture: Picture) -> None:
            self.picture, self.format, self.anchor = picture, picture.kind, picture.cell
            self.width, self.height, self.ref = picture.width, picture.height, None

        def _data(self) -> bytes:
            return self.picture.data

    for picture in look.pictures:
        sheet.add_image(Ready(picture))


def _size(data: bytes, name: str) -> tuple[str, int, int]:
    """Return kind, width and height of a picture (PNG: ISO 15948; JPEG: ITU-T T.81)."""
    if data.startswith(_PNG) and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        if width and height:
            return "png", width, height
    at = 2
    while data.startswith(b"\xff\xd8") and at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            if width and height:
                return "jpeg", width, height
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    raise ConfigError(f"excel: images: {name!r} is no PNG or JPEG picture")
