"""CSV: what each option of formats, encodings and escapes writes, and what is refused."""

from __future__ import annotations

import csv
import datetime as dt
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from pydantic import TypeAdapter, ValidationError

from export_pipeline.errors import ConfigError, FormatError
from export_pipeline.formats import AnyFormat, Csv
from export_pipeline.formats.csv.encodings import Utf16
from export_pipeline_tests.formats import nasty
from export_pipeline_tests.formats.test_contract import proven


def csv_of(**options: Any) -> Csv:
    return TypeAdapter(Csv).validate_python({"line_terminator": "lf", **options})


def written(frame: pl.DataFrame, folder: Path, **options: Any) -> bytes:
    """Return the bytes of the verified file, its lines ended by LF."""
    return proven(csv_of(**options), frame, folder).path.read_bytes()


SALES = pl.DataFrame(
    {
        "id": [1, 2000],
        "at": [dt.datetime(2026, 3, 1, 6, 5, 9), None],
        "day": [dt.date(2026, 3, 1), dt.date(1999, 12, 31)],
        "open": [dt.time(6, 5), None],
        "price": [1234567.125, None],
        "rate": [Decimal("0.50"), Decimal("-1234.56")],
    }
)


def test_the_contracts_spelling_of_formats(tmp_path: Path) -> None:
    given = {"separator": ",", "thousandsSeparator": ".", "decimals": 2}
    text = written(SALES, tmp_path, delimiter=";", dateFormat="DD.MM.YYYY HH:mm", numberFormat=given).decode()
    assert text.splitlines() == [
        "id;at;day;open;price;rate",
        "1;01.03.2026 06:05;01.03.2026 00:00;06:05:00.000000000;1.234.567,12;0,50",
        "2.000;;31.12.1999 00:00;;;-1.234,56",
    ]


def test_columns_have_formats_of_their_own(tmp_path: Path) -> None:
    formats = {
        "id": {"number_format": {"decimals": 1}},
        "at": {"dateFormat": "x", "nullValue": "never"},
        "open": {"date_format": "h:mm A", "null_value": "-"},
        "price": {"null_value": "0"},
    }
    text = written(SALES, tmp_path, column_formats=formats, date_format="YYYY", number_format={"decimals": 0}).decode()
    assert text.splitlines() == [
        "id,at,day,open,price,rate",
        "1.0,1772345109000,2026,6:05 AM,1234567,0",
        "2000.0,never,1999,-,0,-1235",
    ]


def test_times_take_a_pattern_without_a_date(tmp_path: Path) -> None:
    text = written(SALES.select("open", "at"), tmp_path, date_format="HH:mm").decode()
    assert text.splitlines() == ["open,at", "06:05,06:05", ","]


def test_zoned_instants_are_written_in_their_zone(tmp_path: Path) -> None:
    frame = pl.DataFrame([nasty.column("zoned").slice(1, 3)])
    text = written(frame, tmp_path, date_format="DD.MM. HH:mm Z").decode()
    assert text.splitlines()[1:] == ["26.10. 02:30 +02:00", "26.10. 02:30 +01:00", "30.03. 03:00 +02:00"]


def test_rounding(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [0.125, -0.125, 2.675]})
    for rounding, texts in (("half_even", ["0.12", "-0.12", "2.67"]), ("half_up", ["0.13", "-0.13", "2.67"])):
        form = {"decimals": 2, "rounding": rounding}
        assert written(frame, tmp_path, number_format=form).decode().splitlines()[1:] == texts


@pytest.mark.parametrize(("bom", "mark"), [(None, b""), (True, b"\xef\xbb\xbf"), (False, b"")])
def test_a_byte_order_mark_in_utf_8_if_asked_for(bom: bool | None, mark: bytes, tmp_path: Path) -> None:
    assert written(pl.DataFrame({"é": ["\ufeffx"]}), tmp_path, bom=bom) == mark + "é\n\ufeffx\n".encode()


@pytest.mark.parametrize(("bom", "mark"), [(None, b"\xff\xfe"), (True, b"\xff\xfe"), (False, b"")])
def test_utf_16_is_little_endian(bom: bool | None, mark: bytes, tmp_path: Path) -> None:
    texts = ["a,b", "\U0001f600", "שלום\n", None, ""]
    data = written(pl.DataFrame({"é": texts, "n": range(5)}), tmp_path, encoding="utf-16", bom=bom, delimiter="\t")
    assert data.startswith(mark)
    rows = list(csv.reader(data[len(mark) :].decode("utf-16-le").splitlines(keepends=True), delimiter="\t"))
    assert [row[0] for row in rows] == ["é", *(text or "" for text in texts)]


def test_utf_16_of_many_batches(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(60_000)}).with_columns(text=pl.format("é\U0001f600{}", "n"))
    data = written(frame, tmp_path, encoding="utf-16", compression="none")
    assert data.decode("utf-16").splitlines()[59_999] == "59998,é\U0001f60059998"


@pytest.mark.parametrize("cut", [1, 2, 3, 5])
def test_utf_16_of_pieces_cut_anywhere(cut: int) -> None:
    text, out = "aé\U0001f600שx", io.BytesIO()
    stage = Utf16(out)
    data = text.encode()
    for start in range(0, len(data), cut):
        assert stage.write(data[start : start + cut]) == len(data[start : start + cut])
    assert out.getvalue() == text.encode("utf-16-le")


@pytest.mark.parametrize(("policy", "text"), [("replace", "x? ?"), ("escape", "x\\u00e9 \\ud83d\\ude00")])
def test_what_is_not_ascii(policy: str, text: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"é": ["xé \U0001f600", "plain", None], "n": [1, 2, 3]})
    data = written(frame, tmp_path, encoding="ascii", ascii_policy=policy).decode("ascii")
    assert data.splitlines() == ["?,n" if policy == "replace" else "\\u00e9,n", f"{text},1", "plain,2", ",3"]
    losses = csv_of(encoding="ascii", ascii_policy=policy).losses(frame.schema)
    assert [loss.column for loss in losses] == ["é"]


def test_what_is_not_ascii_is_refused_by_row(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="column 't', row 2: the value is not ASCII: 'é'"):
        csv_of(encoding="ascii").write(pl.LazyFrame({"t": ["x", "é"]}), tmp_path / "x.csv")
    with pytest.raises(ConfigError, match="the header 'é' is not ASCII"):
        csv_of(encoding="ascii").check(pl.Schema({"é": pl.Int64()}))


def test_an_escape_of_its_own_is_read_by_python_and_duckdb(tmp_path: Path) -> None:
    texts = ['a"b', "a\\b", "\\", '\\"', "a,b", "a\nb", "", None, "\\N", "x"]
    frame = pl.DataFrame({"t": texts, "n": range(len(texts))})
    data = written(frame, tmp_path, escape="backslash", null_value="NULL", headers=False)
    assert data.startswith(b'"a\\"b",0\n"a\\\\b",1\n"\\\\",2\n"\\\\\\"",3\n"a,b",4\n"a\nb",5\n"",6\nNULL,7\n')
    rows = csv.reader(data.decode().splitlines(keepends=True), doublequote=False, escapechar="\\", strict=True)
    assert [row[0] for row in rows] == ["NULL" if text is None else text for text in texts]
    how = "header=false, escape='\\', quote='\"', nullstr='NULL', allow_quoted_nulls=false, auto_detect=false"
    query = f"SELECT t FROM read_csv('{tmp_path / 'file.csv'}', {how}, columns={{'t': 'varchar', 'n': 'bigint'}})"
    assert [text for (text,) in duckdb.execute(query).fetchall()] == texts


def test_without_quotes_an_escape_keeps_the_delimiter(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a\tb": ["x\ty", 'a"b', "c\\d", None]})
    options: dict[str, Any] = {"delimiter": "tab", "quotes": "none", "escape": "\\", "null_value": "NULL"}
    assert written(frame, tmp_path, **options) == b'a\\\tb\nx\\\ty\na"b\nc\\\\d\nNULL\n'
    with pytest.raises(FormatError, match="column 'a', row 1: the value needs quotes"):
        csv_of(**options).write(pl.LazyFrame({"a": ["x\ny"]}), tmp_path / "x.csv")


def test_all_quotes_with_an_escape(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": ['"', None], "n": [1, None], "b": [True, None]})
    options: dict[str, Any] = {"quotes": "all", "escape": "\\", "null_value": "-"}
    assert written(frame, tmp_path, **options) == b'"a","n","b"\n"\\"","1","true"\n"-","-","-"\n'


def test_a_null_text_that_could_be_a_value_makes_texts_of_columns(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": [0, None], "t": ["0", None], "d": [dt.date(2026, 1, 1), None], "b": [True, None]})
    assert written(frame, tmp_path, null_value="0") == b"n,t,d,b\n0,0,2026-01-01,true\n0,0,0,0\n"
    losses = csv_of(null_value="0").losses(frame.schema)
    assert [loss.column for loss in losses] == ["n", "t", "d", "b"]
    assert losses[0].why == "null becomes the text '0', which may be a value, too"


def test_a_column_of_empty_texts_for_null_stays_unquoted(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [None, 1], "b": [None, 2]})
    assert written(frame, tmp_path, null_value="NULL", column_formats={"a": {"null_value": ""}}) == b"a,b\n,NULL\n1,2\n"


FORMULAS = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "'=1", "a=b", "", None]


def test_formulas_are_written_after_an_apostrophe(tmp_path: Path) -> None:
    frame = pl.DataFrame({"=t": FORMULAS, "n": [-1] * 10, "x": [-0.5] * 10})
    text = written(frame, tmp_path, formula_guard="prefix").decode()
    rows = list(csv.reader(text.split("\n")[:-1]))
    assert rows[0] == ["'=t", "n", "x"]
    assert [row[0] for row in rows[1:]] == [f"'{t}" for t in FORMULAS[:6] if t] + ["'=1", "a=b", "", ""]
    assert {tuple(row[1:]) for row in rows[1:]} == {("-1", "-0.5")}
    assert [loss.column for loss in csv_of(formula_guard="prefix").losses(frame.schema)] == ["=t"]


def test_formulas_can_be_an_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="column 't', row 2: the value would be a formula"):
        csv_of(formula_guard="error").write(pl.LazyFrame({"t": ["x", "=1"], "n": [-1, -2]}), tmp_path / "x.csv")
    with pytest.raises(ConfigError, match="the header '=t' would be a formula"):
        csv_of(formula_guard="error").check(pl.Schema({"=t": pl.Int64()}))


def test_formatted_numbers_and_dates_are_no_formulas(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": [-1.5], "d": [dt.date(2026, 1, 1)]})
    options: dict[str, Any] = {"number_format": {"decimals": 1}, "date_format": "[-]YYYY", "formula_guard": "error"}
    assert written(frame, tmp_path, **options) == b"n,d\n-1.5,-2026\n"


def test_policies_hold_for_formatted_values_too(tmp_path: Path) -> None:
    form = csv_of(number_format={"decimals": 1}, non_finite="error")
    with pytest.raises(FormatError, match="column 'x', row 3: the value is not a finite number"):
        form.write(pl.LazyFrame({"x": [1.0, None, float("nan")]}), tmp_path / "x.csv")
    days = pl.Series("d", [0, 3_000_000], dtype=pl.Int32).cast(pl.Date)
    with pytest.raises(FormatError, match="column 'd', row 2: the value is outside of the years 1 to 9999"):
        csv_of(date_format="YYYY").write(pl.LazyFrame([days]), tmp_path / "x.csv")
    text = written(pl.DataFrame([nasty.column("non_finite")]), tmp_path, number_format={"decimals": 1}, null_value="-")
    assert text.decode().split() == ["non_finite", "NaN", "inf", "-inf", "NaN", "1.5", "-"]


def test_a_file_does_not_begin_with_a_stray_byte_order_mark(tmp_path: Path) -> None:
    frame = pl.DataFrame({"\ufeffa": ["\ufeffx"], "b": ["\ufeff"]})
    assert written(frame, tmp_path) == '"\ufeffa",b\n\ufeffx,\ufeff\n'.encode()
    assert written(frame, tmp_path, headers=False, quotes="all") == '"\ufeffx","\ufeff"\n'.encode()
    with pytest.raises(FormatError, match="row 1: the value begins with a byte order mark"):
        csv_of(headers=False).write(frame.lazy(), tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("formats", "said"),
    [
        ({"prise": {"null_value": "-"}}, "'prise', which is no column .did you mean 'price'"),
        ({"price": {"date_format": "YYYY"}}, "gives 'price' a date_format, but it is of type float"),
        ({"at": {"number_format": {}}}, "gives 'at' a number_format, but it is of type datetime"),
        ({"open": {"date_format": "L LT"}}, "gives the times of 'open' the date pattern 'L LT'"),
    ],
)
def test_formats_that_do_not_fit_their_column_are_refused(formats: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        csv_of(column_formats=formats).check(SALES.schema)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"escape": "x"}, "escape is one ASCII punctuation mark"),
        ({"escape": "-"}, "escape is one ASCII punctuation mark"),
        ({"escape": "\\\\"}, "escape is one ASCII punctuation mark"),
        ({"escape": "\\", "null_value": "\\N"}, "must not hold the delimiter, a quote, the escape"),
        ({"encoding": "ascii", "bom": True}, "ASCII has no byte order mark"),
        ({"encoding": "utf-16", "ascii_policy": "replace"}, "ascii_policy: replace is for encoding: ascii, not utf-16"),
        ({"encoding": "ascii", "null_value": "é"}, "is not ASCII"),
        ({"encoding": "ascii", "number_format": {"thousands_separator": "\u202f"}}, "is not ASCII"),
        ({"encoding": "latin-1"}, "'utf-8', 'utf-16' or 'ascii'"),
        ({"date_format": "%d.%m.%Y"}, "written for strftime"),
        ({"date_format": "[day]"}, "has no date token"),
        ({"quotes": "none", "number_format": {"separator": ","}}, "numbers hold the delimiter ','"),
        ({"column_formats": {"a": {"null_value": "a,b"}}}, "null_value of 'a'"),
        ({"column_formats": {"a": {"nul_value": "-"}}}, "did you mean 'null_value'"),
        ({"formula_guard": "on"}, "'off', 'prefix' or 'error'"),
    ],
)
def test_wrong_options_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(AnyFormat).validate_python({"csv": given})


def test_options_survive_being_written_down() -> None:
    form = csv_of(
        escape="backslash", encoding="utf-16", date_format="L", number_format={"decimals": 2},
        column_formats={"a": {"null_value": "-"}}, formula_guard="prefix",
    )  # fmt: skip
    assert TypeAdapter(AnyFormat).validate_python({"csv": form.dump()}) == form
