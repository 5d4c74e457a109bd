"""File names: what templates become, and what they may not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipeline.errors import ConfigError
from export_pipeline.names import (
    DEFAULT_FILE_NAME,
    LONGEST,
    check_file_name,
    check_relative,
    clean,
    numbered,
    render_file_name,
    with_extension,
)

MOMENT = datetime(2026, 11, 23, 6, 30, tzinfo=ZoneInfo("Europe/Berlin"))


@dataclass(frozen=True)
class Some:
    tag: str = "csv"
    full_suffix: str = ".csv"


def named(template: str, *, name: str = "failed-commands", some: Some = Some(), part: int = 1) -> str:
    return render_file_name(
        check_file_name(template),
        name=name,
        logical_time=MOMENT,
        run_id="run-123456789",
        output="raw",
        format=some,
        part=part,
    )


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (DEFAULT_FILE_NAME, "failed-commands-2026-11-23-0630.csv"),
        ("{name}-{date:YYYY-MM-DD}", "failed-commands-2026-11-23.csv"),
        ("{name}-{date}", "failed-commands-2026-11-23.csv"),
        ("{name}/{date:YYYY/MM/DD}/{output}.{format}", "failed-commands/2026/11/23/raw.csv"),
        ("{date:dddd [at] H.mm}", "Monday at 6.30.csv"),
        ("{run_id}-{run_id:8}-{part}-{part:3}", "run-123456789-run-1234-1-001.csv"),
        ("{{{name}}}", "{failed-commands}.csv"),
        ("plain", "plain.csv"),
        ("Größe 日本", "Größe 日本.csv"),
        ("v1.2", "v1.2.csv"),
    ],
)
def test_templates(template: str, expected: str) -> None:
    assert named(template) == expected


@pytest.mark.parametrize(
    ("name", "extension", "compression", "expected"),
    [
        ("a", ".csv", "", "a.csv"),
        ("a", "csv", "gz", "a.csv.gz"),
        ("a", "csv", ".gz", "a.csv.gz"),
        ("a.csv", "csv", "gz", "a.csv.gz"),
        ("a.csv.gz", "csv", "gz", "a.csv.gz"),
        ("a.gz", "csv", "gz", "a.csv.gz"),
        ("A.CSV", "csv", "", "A.CSV"),
        ("a.tsv", "csv", "", "a.tsv"),
        ("a.txt", "csv", "zst", "a.txt.zst"),
        ("a.jsonl", "json", "", "a.jsonl"),
        ("a.csv", "json", "", "a.csv.json"),  # a name that lies about its content is not made
        ("a.csv.gz", "csv", "", "a.csv.gz.csv"),
        ("a.zip", "csv", "", "a.zip.csv"),
        ("a.xlsx", "xlsx", "", "a.xlsx"),
        ("csv", "csv", "", "csv.csv"),
    ],
)
def test_extensions_follow_the_format(name: str, extension: str, compression: str, expected: str) -> None:
    assert with_extension(name, extension, compression) == expected
    suffix = "." + ".".join(part.strip(".") for part in (extension, compression) if part)
    assert named(name, some=Some(full_suffix=suffix)) == expected


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("../{name}", "may leave its folder"),
        ("a/../../b", "may leave its folder"),
        ("a//b", "may leave its folder"),
        ("./a", "may leave its folder"),
        ("/etc/{name}", "is absolute"),
        ("a\\b", "character '\\\\\\\\'"),
        ("a\x00b", "character"),
        ("a\nb", "character"),
        ("a\u202egnp.csv", "character"),
        ("{date:HH:mm}", "without a colon"),
        ("a?b", "character '\\?'"),
        ("con", "Windows keeps for a device"),
        ("x/LPT1.old/y", "Windows keeps for a device"),
        (".hidden", "hidden part"),
        ("a/.b/c", "hidden part"),
        ("a./b", "ends with a dot"),
        (" a/b", "begins or ends with a space"),
        ("folder/", "name of the file is missing"),
        ("", "hidden part"),
        ("{nmae}", "did you mean 'name'"),
        ("{secret}", "valid: date, format, name, output, part, run_id"),
        ("{name.__class__}", "a plain name"),
        ("{name[0]}", "a plain name"),
        ("{name!r}", "a plain name"),
        ("{}", "a plain name"),
        ("{0}", "unknown field '0'"),
        ("{name:{part}}", "a plain name"),
        ("{name", "without its partner"),
        ("name}", "without its partner"),
        ("{name:>99999999}", "number of characters"),
        ("{part:0999999999d}", "number of digits"),
        ("{part:0}", "number of digits"),
        ("x" * (LONGEST + 1), "bytes; at most"),
        (7, "not 7"),
    ],
)
def test_refused_when_the_export_is_read(template: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_file_name(template)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/x", "a/b", "a\\b", "..", ".", ".bashrc", "a:b?", "x\x00y\n"]
)
def test_a_value_never_adds_a_level(name: str) -> None:
    made = named("reports/{name}", name=name)
    assert PurePosixPath(made).parent == PurePosixPath("reports")
    assert not PurePosixPath(made).name.startswith(".")


def test_a_value_that_is_too_long_or_reserved_is_refused() -> None:
    with pytest.raises(ConfigError, match="bytes; at most"):
        named("{name}", name="ä" * LONGEST)
    with pytest.raises(ConfigError, match="Windows keeps"):
        named("{name}", name="nul")


@given(st.text(max_size=60), st.sampled_from(["{name}", "a/{name}", "{name}/b", "{name:9}-{output}", "x{name}"]))
def test_whatever_the_value_the_name_is_safe_or_refused(value: str, template: str) -> None:
    try:
        made = named(template, name=value)
    except ConfigError:
        return
    assert made.count("/") == template.count("/")
    assert all(part not in ("", ".", "..") and "\\" not in part and "\x00" not in part for part in made.split("/"))
    assert check_relative(made) == made
    assert made.endswith(".csv")


@given(st.text(max_size=80))
def test_whatever_the_template_it_is_safe_or_refused(template: str) -> None:
    try:
        made = named(template)
    except ConfigError:
        return
    assert not made.startswith("/")
    assert ".." not in made.split("/")


@given(st.text())
def test_cleaning_twice_is_cleaning_once(value: str) -> None:
    assert clean(clean(value)) == clean(value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "a (2).csv"),
        ("a.csv.gz", "a (2).csv.gz"),
        ("a.b.csv", "a.b (2).csv"),
        ("x.y/a.csv", "x.y/a (2).csv"),
        ("a", "a (2)"),
        ("a.gz", "a (2).gz"),
    ],
)
def test_versions(name: str, expected: str) -> None:
    assert numbered(name, 2) == expected
    assert numbered(name, 1) == name
