from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from export_pipeline.config import ExportConfig
from export_pipeline.home import Home
from export_pipeline.parsing import parse
from export_pipeline.pipeline import Context, run
from export_pipeline.results import ExportResult, result_of


def test_result(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,name,share\n1,a,0.5\n2,b,NaN\n")
    config = parse(
        ExportConfig,
        {
            "name": "rows",
            "source": {"files": "rows.csv"},
            "outputs": [
                {"format": "csv", "deliver": [{"local": "one"}, {"local": "two"}]},
                {"format": {"json": {"layout": "lines"}}, "file_name": "other"},
            ],
        },
    )
    done = run(config, Context(Home(tmp_path), trusted=True), logical_time=datetime(2026, 11, 5, tzinfo=UTC))
    made = result_of(done.plan, done.written, done.delivered, run_id="r", seconds=1.23456)
    assert (made.run_id, made.state, made.export, made.rows, made.seconds) == ("r", "done", "rows", 2, 1.235)
    assert [(file.output, file.format, file.rows, file.columns) for file in made.files] == [
        ("csv", "csv", 2, 3),
        ("json", "json", 2, 3),
    ]
    assert Path(made.files[0].path).parent == tmp_path / "out" / "one"  # that of its first receipt
    assert made.files[1].path == str(tmp_path / "out" / "other.ndjson")
    places = [receipt.place for receipt in made.receipts]
    assert len(set(places)) == len(places) >= 3
    assert all(Path(file.path).stat().st_size == file.bytes for file in made.files)
    assert {loss.output for loss in made.losses} <= {"csv", "json"}
    assert any(loss.output == "json" and loss.column == "share" for loss in made.losses)
    assert ExportResult.model_validate(json.loads(json.dumps(made.dump(defaults=True)))) == made


def test_nothing_was_sent(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id\n1\n")
    config = parse(
        ExportConfig,
        {
            "name": "rows",
            "source": {"files": "rows.csv"},
            "filter": {"where": {"field": "id", "value": 2}},
            "on_empty": "skip",
            "file_name": "rows",
        },
    )
    done = run(config, Context(Home(tmp_path), trusted=True))
    made = result_of(done.plan, done.written, done.delivered, run_id="r")
    assert made.skipped == "there was no row, and on_empty is skip"
    assert (made.receipts, made.files[0].path) == ([], "rows.csv")
