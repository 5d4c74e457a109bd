"""Delivered files read back by DuckDB (CSV, JSON, Parquet) and calamine (Excel); rows compared with the reference."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

MICROSECOND = timedelta(microseconds=1)
_LENGTH = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
Row = tuple[Any, ...]


def instant(when: datetime) -> int:
    """Return microseconds since 1970; a time without a zone is UTC."""
    return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND


def length(text: str) -> int:
    """Return the microseconds of an ISO 8601 length of time."""
    found = _LENGTH.fullmatch(text)
    assert found, f"{text!r} is no length of time"
    sign, days, hours, minutes, seconds = found.groups()
    total = timedelta(days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0))
    micros = total // MICROSECOND + int(Decimal(seconds or 0) * 1_000_000)
    return -micros if sign else micros


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text]


_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "whole numbers": int,
    "numbers": float,
    "decimal numbers": Decimal,
    "text": str,
    "true and false": _truth,
    "dates": date.fromisoformat,
    "points in time": lambda text: instant(datetime.fromisoformat(text)),
    "times of day": time.fromisoformat,
    "lengths of time": length,
}


def read(path: Path, kinds: Sequence[str], zones: Sequence[str]) -> tuple[list[str], list[Row]]:
    """Return the names and rows of a delivered file; `zones` are those of the columns, for Excel's wall clocks."""
    names = path.name.removesuffix(".gz")
    if names.endswith(".xlsx"):
        return _excel(path, kinds, zones)
    if names.endswith(".parquet"):
        return _parquet(path, kinds)
    header, rows = _csv(path) if names.endswith(".csv") else _json(path)
    makers = [_FROM_TEXT[kind] for kind in kinds]
    assert len(header) == len(makers) or not rows, f"{header} are not {len(makers)} columns"  # JSON: no row, no name
    return header, [
        tuple(None if cell is None else make(cell) for cell, make in zip(row, makers, strict=True)) for row in rows
    ]


def _fetch(sql: str, *values: Any) -> tuple[list[str], list[Row]]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        found = connection.execute(sql, list(values))
        return [column[0] for column in found.description or []], found.fetchall()


def _csv(path: Path) -> tuple[list[str], list[Row]]:
    options = "all_varchar = true, header = true, delim = ',', quote = '\"', escape = '\"', allow_quoted_nulls = false"
    names, rows = _fetch(f"from read_csv(?, {options}, auto_detect = false, columns = {_columns(path)})", str(path))
    return names, rows


def _columns(path: Path) -> str:
    """Return the columns of a CSV file, told by its first line, for DuckDB."""
    (line,) = _fetch(
        "from read_csv(?, header = false, all_varchar = true, delim = ',', quote = '\"') limit 1", str(path)
    )[1]
    return "{" + ", ".join("'" + str(name).replace("'", "''") + "': 'VARCHAR'" for name in line) + "}"


def _json(path: Path) -> tuple[list[str], list[Row]]:
    if path.name.removesuffix(".gz").endswith(".ndjson"):
        rows = "select json from read_ndjson_objects(?)"
    else:
        rows = (
            "select unnest(if(json_type(json) = 'ARRAY', json->'$[*]', json->'$.records[*]')) as json"
            " from read_json_objects(?, format = 'unstructured')"
        )
    (names,) = _fetch(f"select json_keys(json) from ({rows}) limit 1", str(path))[1] or [([],)]
    picked = ", ".join(f"json->>?::varchar as c{place}" for place in range(len(names[0])))
    if not names[0]:
        return [], []
    pointers = ["/" + name.replace("~", "~0").replace("/", "~1") for name in names[0]]
    _, found = _fetch(f"select {picked} from ({rows})", *pointers, str(path))
    return list(names[0]), found


def _parquet(path: Path, kinds: Sequence[str]) -> tuple[list[str], list[Row]]:
    names, _ = _fetch("from read_parquet(?) limit 0", str(path))
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    exact = {"points in time": "epoch_us({})", "times of day": "{}::time"}
    shown = [exact.get(kind, "{}").format(name) for name, kind in zip(quoted, kinds, strict=True)]
    return names, _fetch(f"select {', '.join(shown)} from read_parquet(?)", str(path))[1]


def _excel(path: Path, kinds: Sequence[str], zones: Sequence[str]) -> tuple[list[str], list[Row]]:
    from python_calamine import CalamineWorkbook

    header, *rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python(skip_empty_area=False)
    width = len(kinds)
    return [str(name) for name in header[:width]], [
        tuple(_cell(cell, kind, zone) for cell, kind, zone in zip(row[:width], kinds, zones, strict=True))
        for row in rows
    ]


def _cell(cell: Any, kind: str, zone: str) -> Any:
    """Return what a cell holds; a moment is the wall clock of its zone."""
    if cell == "":
        return None
    match kind:
        case "whole numbers":
            assert float(cell).is_integer()
            return int(cell)
        case "decimal numbers":
            return Decimal(repr(float(cell)))
        case "points in time":
            day = cell if isinstance(cell, datetime) else datetime.combine(cell, time())
            return Wall(day, zone)
        case "dates":
            return cell.date() if isinstance(cell, datetime) else cell
        case "times of day":
            return cell.time() if isinstance(cell, datetime) else cell
        case "lengths of time":
            if isinstance(cell, (int, float)):
                return Near(round(cell * 86_400_000_000))
            if isinstance(cell, time):
                return Near(timedelta(hours=cell.hour, minutes=cell.minute, seconds=cell.second) // MICROSECOND)
            if isinstance(cell, datetime):
                return Near((cell - datetime(1899, 12, 31)) // MICROSECOND)
            return Near(cell // MICROSECOND)
        case "numbers":
            return float(cell)
        case _:
            return cell


class Near(int):
    """Microseconds that a reader of Excel's numbers rounded to milliseconds."""


class Wall:
    """A moment as a sheet shows it: the clock on the wall, to the millisecond."""

    def __init__(self, when: datetime, zone: str) -> None:
        self.when, self.zone = when, zone

    def is_(self, micros: int) -> bool:
        """Return whether the clock showed this then."""
        utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
        shown = utc.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None)
        return bool(abs(shown - self.when) <= timedelta(milliseconds=1))

    def __repr__(self) -> str:
        return f"{self.when} in {self.zone}"


def same(ours: Any, theirs: Any, kind: str) -> bool:
    """Return whether a value of a file is that of the reference."""
    if isinstance(ours, float) and math.isnan(ours):
        ours = None  # counts as missing
    if ours is None or theirs is None:
        return ours is theirs
    if kind == "lengths of time":
        return bool(abs(ours - theirs) <= (1_000 if isinstance(ours, Near) else 1))
    if isinstance(ours, Wall):
        return ours.is_(theirs)
    if kind in ("numbers", "decimal numbers") and not isinstance(theirs, Decimal):
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)
    return bool(ours == theirs)


def differences(ours: Sequence[Row], theirs: Sequence[Row], kinds: Sequence[str]) -> str:
    """Return what differs, empty where nothing does; the order counts."""
    if len(ours) != len(theirs):
        return f"{len(ours)} rows, not {len(theirs)}"
    for place, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        if len(mine) != len(other):
            return f"row {place}: {len(mine)} columns, not {len(other)}"
        for column, (a, b, kind) in enumerate(zip(mine, other, kinds, strict=True)):
            if not same(a, b, kind):
                return f"row {place}, column {column} ({kind}): {a!r}, not {b!r}; whole rows: {mine} and {other}"
    return ""
