from __future__ import annotations

import pytest

from export_pipeline.cli.screen import Screen
from export_pipeline.results import ExportResult, LossReport


def result(kinds: int) -> ExportResult:
    losses = [LossReport(output="excel", column=c, why=f"reason {n}") for n in range(kinds) for c in "ab"]
    return ExportResult(run_id="12345678-9", state="done", export="x", losses=losses)


@pytest.mark.parametrize(
    ("kinds", "lines", "last"), [(6, 6, "excel: a, b: reason 5"), (13, 6, "and 8 more of these: ")]
)
def test_a_run_shows_the_first_losses_and_where_the_others_are(
    kinds: int, lines: int, last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Screen().result(result(kinds), brief=True)
    said = [line for line in capsys.readouterr().err.splitlines() if "run 1234" not in line]
    assert len(said) == lines
    assert said[-1].startswith(last)
    assert ("status 12345678" in said[-1]) is (kinds > 6)
    Screen().result(result(kinds))
    assert capsys.readouterr().err.count("reason") == kinds
