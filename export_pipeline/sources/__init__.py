"""Where rows come from: named stores and files, each opened for one consistent read.

A source is told by its keys: ``{store: dashboard, dataset: commands}``, ``{store: dashboard, query: SELECT ...}``,
``{files: "flights-*.parquet"}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from export_pipeline.sources.base import Opened, Source
from export_pipeline.sources.files import AnyFileFormat, FilesSource
from export_pipeline.sources.store import StoreSource, open_sources
from export_pipeline.sources.stores import AnyStore, Dataset, DuckDb, Sqlite, Store, Stores


def _told(value: Any) -> str:
    """Return which source a value is: all that names no files says what it lacks as a store's."""
    if isinstance(value, Mapping):
        return "files" if "files" in value else "store"
    return "files" if isinstance(value, FilesSource) else "store"


AnySource = Annotated[Annotated[FilesSource, Tag("files")] | Annotated[StoreSource, Tag("store")], Discriminator(_told)]

__all__ = [
    "AnyFileFormat",
    "AnySource",
    "AnyStore",
    "Dataset",
    "DuckDb",
    "FilesSource",
    "Opened",
    "Source",
    "Sqlite",
    "Store",
    "StoreSource",
    "Stores",
    "open_sources",
]
