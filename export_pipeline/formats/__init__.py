"""The formats: how rows become files. The union is the registry: a new format is one file and one name here."""

from __future__ import annotations

from typing import Annotated

from export_pipeline.formats.about import About
from export_pipeline.formats.base import Format
from export_pipeline.formats.csv import Csv
from export_pipeline.formats.excel import Excel
from export_pipeline.formats.json import Json
from export_pipeline.formats.parquet import Parquet
from export_pipeline.options import OneOf

AnyFormat = Annotated[Csv | Json | Parquet | Excel, OneOf("format")]
"""`csv`, `json`, `parquet`, `excel`, or with options: `{csv: {delimiter: ";"}}`."""

__all__ = ["About", "AnyFormat", "Csv", "Excel", "Format", "Json", "Parquet"]
