"""A first export for somebody's data: which column is the time, which the status, what to call it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl

from export_pipeline import yaml
from export_pipeline.config import ExportConfig
from export_pipeline.errors import ConfigError, NotFoundError
from export_pipeline.home import Home
from export_pipeline.options import members_of
from export_pipeline.parsing import parse, read
from export_pipeline.sources import Stores
from export_pipeline.sources.stores import AnyStore

WORDS = {
    "time": ("started_at", "created_at", "timestamp", "occurred_at", "time", "datetime", "date", "at", "day"),
    "agent": ("agent_id", "agent", "worker_id", "worker", "user_id", "host"),
    "command_type": ("command_type", "command", "action", "event_type", "kind", "type"),
    "status": ("status", "state", "result", "outcome"),
}
"""Role -> names of columns that usually have it, the likeliest first."""
ENDINGS = {".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite", ".duckdb": "duckdb", ".ddb": "duckdb"}


@dataclass(frozen=True)
class First:
    """An export to begin with."""

    config: ExportConfig
    stores: str | None = None
    """The new text of ``stores.yaml``; None where it does not change."""
    added: str = ""
    """What is new in it, in words."""
    guesses: list[str] = field(default_factory=list)
    """What was guessed, in words."""


def first_export(home: Home, source: str, name: str | None) -> First:
    """Return a first export of a data file, or of a database file: a path or ``sqlite:///FILE``, ``duckdb:///FILE``.

    Raises `ConfigError` or `NotFoundError` where there is no such thing.
    """
    scheme, path = _place(source)
    if not path.exists():
        raise NotFoundError(
            f"there is no file {path}", cure="init takes a data file, sqlite:///FILE or duckdb:///FILE."
        )
    if scheme is None:
        return _of_file(home, path, name)
    return _of_store(home, scheme, path, name)


def _place(source: str) -> tuple[str | None, Path]:
    """Return the kind of store, None for a data file, and where it is."""
    parts = urlsplit(source)
    if "://" not in source:
        path = Path(source).expanduser().resolve()
        return ENDINGS.get(path.suffix.lower()), path
    known = members_of(AnyStore)
    if parts.scheme not in known:
        raise ConfigError(f"there is no store of the kind {parts.scheme!r}", cure=f"There are: {', '.join(known)}.")
    return parts.scheme, Path(unquote(parts.path).removeprefix("/")).resolve()  # four slashes: from the root


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "export"


def roles(schema: pl.Schema) -> dict[str, str]:
    """Return role -> column, by names and, for the time, types."""
    folded = {name.lower(): name for name in schema}
    found: dict[str, str] = {}
    for role, words in WORDS.items():
        fits = [folded[word] for word in words if word in folded]
        if role == "time":
            times = [name for name, kind in schema.items() if isinstance(kind, (pl.Datetime, pl.Date))]
            fits = [name for name in fits if name in times] or times
        taken = set(found.values())
        free = [name for name in fits if name not in taken]
        if free:
            found[role] = free[0]
    return found


def _said(found: dict[str, str]) -> list[str]:
    return [f"guessed: {role.replace('_', ' ')} is the column {column!r}" for role, column in found.items()]


def _of_file(home: Home, path: Path, name: str | None) -> First:
    from export_pipeline.sources import FilesSource

    shown = str(path.relative_to(home.root)) if path.is_relative_to(home.root) else str(path)
    with FilesSource(files=shown).open(folder=home.root) as opened:
        found = roles(opened.schema)
    data = {"name": name or _slug(path.name.split(".")[0]), "source": {"files": shown} | found, "format": "excel"}
    stores = _rooted(home, path.parent)
    return First(parse(ExportConfig, data), stores, f"lets exports read files in {path.parent}", _said(found))


def _rooted(home: Home, folder: Path) -> str | None:
    """Return ``stores.yaml`` with a folder that exports may read files in; None where they may already.

    The command line may read any file, but schedules and the Dagster UI only those in listed folders.
    """
    known = Stores.load(home.stores)
    if any(folder.is_relative_to(root) for root in (home.root, *known.roots)):
        return None
    data, text = _document(home)
    return _rewritten(text, data | {"roots": [*(data.get("roots") or []), str(folder)]})


def _document(home: Home) -> tuple[dict[str, Any], str]:
    """Return what ``stores.yaml`` says, and its text."""
    if not home.stores.exists():
        return {}, ""
    document = read(home.stores)
    return document.data if isinstance(document.data, dict) else {}, home.stores.read_text("utf-8")


def _rewritten(text: str, data: dict[str, Any]) -> str:
    return yaml.rewrite(text, data) if text.strip() else yaml.dump(data)


def _of_store(home: Home, kind: str, path: Path, name: str | None) -> First:
    data, text = _document(home)
    stores = dict(data.get("stores") or {})
    store = next(
        (known for known, value in stores.items() if _same(value, kind, path, home)), _unused(_slug(path.stem), stores)
    )
    opened = parse(Stores, {"stores": {store: {kind: {"path": str(path)}}}}).stores[store]
    session = opened.connect(store)
    try:
        tables = session.tables()
        if not tables:
            raise ConfigError(f"{path} has no table")
        schemas = {table: _schema(session, table) for table in tables}
    finally:
        session.close()
    found = {table: roles(schema) for table, schema in schemas.items()}
    chosen = max(tables, key=lambda table: len(found[table]))  # the one that looks most like what people export
    if store not in stores:
        shown = str(path.relative_to(home.root)) if path.is_relative_to(home.root) else str(path)
        datasets = {table: {"table": table} | found[table] for table in tables}
        stores[store] = {kind: {"path": shown, "datasets": datasets}}
    export = {"name": name or _slug(chosen), "source": {"store": store, "dataset": chosen}, "format": "excel"}
    others = [table for table in tables if table != chosen]
    said = _said(found[chosen]) + ([f"other data sets: {', '.join(others)}"] if others else [])
    return First(
        parse(ExportConfig, export), _rewritten(text, data | {"stores": stores}), f"names the store {store}", said
    )


def _schema(session: Any, table: str) -> pl.Schema:
    from export_pipeline.sources.stores import Request

    with session.open_table(table, Request(what=f"table {table}")) as opened:
        schema: pl.Schema = opened.schema
        return schema


def _same(value: Any, kind: str, path: Path, home: Home) -> bool:
    """Return whether this entry of ``stores.yaml`` is that database already."""
    body = value.get(kind) if isinstance(value, dict) else None
    given = body.get("path") if isinstance(body, dict) else body
    return isinstance(given, str) and (home.root / Path(given).expanduser()).resolve() == path


def _unused(name: str, taken: dict[str, Any]) -> str:
    names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
    return next(free for free in names if free not in taken)
