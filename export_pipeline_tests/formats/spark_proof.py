"""A proof to run by hand, not a test: Spark reads a Hive folder and an LZO file with equal values.

It needs Java with its compiler (Debian: openjdk-17-jdk-headless) and `pip install pyspark` (some 700 MB); nothing
leaves the machine. Spark has no class of the name that Parquet's LZO asks for, so one is made of the LZO codec that it
brings along for ORC, which is another implementation than ours:

    python -m export_pipeline_tests.formats.spark_proof
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from export_pipeline.formats.parquet import Parquet
from export_pipeline.verification import verify

ROWS = 20_000
SHIM = """package com.hadoop.compression.lzo;
public class LzoCodec extends io.airlift.compress{}.lzo.LzoCodec {{}}
"""


def sample() -> pl.DataFrame:
    """Return rows with keys that need encoding, empty values and long texts."""
    keys = ["a", "b/c", "100%", "ä ö", "x=y", None]
    return pl.DataFrame(
        {
            "n": range(ROWS),
            "text": [None if n % 7 == 0 else f"text {n % 1000} ä " * (n % 30) for n in range(ROWS)],
            "cost": [n / 7 for n in range(ROWS)],
            "agent": [keys[n % len(keys)] for n in range(ROWS)],
            "day": [dt.date(2026, 11, 1 + n % 5) for n in range(ROWS)],
        }
    )


def rows_of(spark: Any, path: Path) -> pl.DataFrame:
    """Return the rows as Spark reads them."""
    found = spark.read.option("mergeSchema", "false").parquet(str(path)).collect()
    return pl.DataFrame([row.asDict() for row in found], infer_schema_length=None).sort("n")


def session(folder: Path) -> Any:
    """Return Spark on this machine alone, with the LZO codec under the name that Parquet asks for."""
    import pyspark
    from pyspark.sql import SparkSession

    jars = Path(str(pyspark.__file__)).parent / "jars"
    listed = subprocess.run(
        ["jar", "tf", str(next(jars.glob("aircompressor*.jar")))], check=True, capture_output=True, text=True
    ).stdout
    version = ".v2" if "io/airlift/compress/v2/lzo/LzoCodec" in listed else ""
    source = folder / "LzoCodec.java"
    source.write_text(SHIM.format(version))
    subprocess.run(["javac", "-cp", f"{jars}/*", "-d", str(folder / "classes"), str(source)], check=True)
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    builder: Any = SparkSession.builder
    return (
        builder.master("local[1]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.extraClassPath", str(folder / "classes"))
        .config("spark.ui.enabled", "false")
        .config("spark.sql.parquet.enableVectorizedReader", "true")
        .getOrCreate()
    )


def main() -> None:
    """Write, read with Spark, compare; raises AssertionError where anything differs."""
    frame = sample()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hive = Parquet(partition_by=["agent", "day"], partition_values={"dt": "2026-11-23"}, commit_marker=True)
        verify(hive.write(frame.lazy(), folder / "lake"), hive)
        lzo = Parquet.model_validate({"compression": "lzo"})
        verify(lzo.write(frame.lazy(), folder / "lzo.parquet"), lzo)
        began = time.perf_counter()
        spark = session(folder)
        print(f"Spark {spark.version} started in {time.perf_counter() - began:.0f} s")
        found = rows_of(spark, folder / "lake")
        assert found["dt"].unique().to_list() == [dt.date(2026, 11, 23)]
        assert_frame_equal(found.select(frame.columns), frame)
        print(f"Hive folder: {found.height:,} rows equal, keys included")
        assert_frame_equal(rows_of(spark, folder / "lzo.parquet").select(frame.columns), frame)
        print(f"LZO file: equal; {time.perf_counter() - began:.0f} s in all")
        spark.stop()


if __name__ == "__main__":
    main()
