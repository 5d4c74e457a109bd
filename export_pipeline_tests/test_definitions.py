from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from export_pipeline import labels
from export_pipeline.catalog import Catalog
from export_pipeline.config import ExportConfig
from export_pipeline.defs.build import definitions
from export_pipeline.defs.launchpad import config_type
from export_pipeline.defs.schedules import export_schedule
from export_pipeline.home import Home
from export_pipeline_tests.defs.homes import BROKEN, FAILED, deep, home

SCHEDULED = FAILED + "schedule: {frequency: daily, at: '06:30', window: {start: '06:00', end: '09:00'}}\n"


def jobs(defs: dg.Definitions) -> dict[str, dg.JobDefinition]:
    return {job.name: job for job in defs.get_repository_def().get_all_jobs()}


def loaded(folder: Path, pairs: int) -> tuple[dg.Definitions, float]:
    """Return the jobs of so many pairs of files, one broken and one deep, and the CPU seconds that they took."""
    folder.mkdir()
    files = {f"export-{number:03}": FAILED.replace("900", str(number)) for number in range(pairs)}
    files |= {f"daily-{number:03}": SCHEDULED for number in range(pairs)}
    made = home(folder, files | {"broken": BROKEN, "deep": deep(6)})
    started = time.process_time()
    defs = definitions(made)
    defs.get_repository_def()
    return defs, time.process_time() - started


def test_two_hundred_files_one_broken_one_deep_load_in_a_time_that_grows_with_their_number(tmp_path: Path) -> None:
    config_type(ExportConfig, partial=True)
    loaded(tmp_path / "first", 1)
    _, few = loaded(tmp_path / "few", 9)
    defs, many = loaded(tmp_path / "many", 99)
    print(f"20 files {few:.2f} s, 200 files {many:.2f} s")  # some 1.3 s on a quick machine
    assert many < 25 * few
    repository, found = defs.get_repository_def(), jobs(defs)
    assert len(found) == 201
    assert len(repository.schedule_defs) == 99
    broken = [name for name, job in found.items() if labels.BROKEN in job.tags]
    assert broken == ["broken"]
    assert "broken.yaml, line 5: format.csv: unknown option 'delimeter'" in (found["broken"].description or "")
    dg.Definitions.validate_loadable(defs)


def test_types_and_ops_are_shared_by_all_jobs(tmp_path: Path) -> None:
    found = jobs(definitions(home(tmp_path, {"a": FAILED, "b": deep(3)})))
    assert found["a"].graph.node_defs[0] is found["b"].graph.node_defs[0]


def test_names_that_are_one_to_dagster_are_told_apart(tmp_path: Path) -> None:
    found = jobs(definitions(home(tmp_path, {"a-b": FAILED, "a_b": FAILED, "export": FAILED})))
    assert {"a_b", "a_b_2", "export", "export_"} <= set(found)
    assert labels.BROKEN in found["a_b_2"].tags
    assert "which another export has taken" in (found["a_b_2"].description or "")


@pytest.mark.parametrize("tags", ["{bad key!: x}", "{.dagster/x: y}", "{export_pipeline/redeliver: y}"])
def test_what_dagster_refuses_in_a_file_breaks_that_file_alone(tmp_path: Path, tags: str) -> None:
    made = home(tmp_path, {"good": FAILED, "bad": FAILED.replace("{team: ops}", tags)})
    found = jobs(definitions(made))
    assert labels.BROKEN in found["bad"].tags
    assert labels.BROKEN not in found["good"].tags


def test_a_home_that_is_not_there_has_the_ad_hoc_job_only(tmp_path: Path) -> None:
    assert set(jobs(definitions(Home(tmp_path / "nowhere")))) == {labels.ADHOC}


def schedule(folder: Path, now: datetime | None = None) -> dg.ScheduleDefinition:
    """The schedule of an export, evaluated at an instant."""
    made = home(folder, {"morning-report": SCHEDULED})
    (entry,) = Catalog(made).entries()
    assert entry.config is not None
    assert entry.config.schedule is not None
    job = jobs(definitions(made))["morning_report"]
    return export_schedule(entry.config, entry.config.schedule, job, lambda: now or datetime.now(UTC))


def tick(definition: dg.ScheduleDefinition, due: datetime) -> dg.RunRequest | str:
    """What a tick asks for, or why it is skipped."""
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=due)
        done = definition.evaluate_tick(context)
    if done.run_requests:
        return done.run_requests[0]
    return done.skip_message or ""


def test_a_run_of_a_schedule_stands_for_its_tick(tmp_path: Path) -> None:
    due = datetime(2026, 7, 1, 4, 30, tzinfo=UTC)
    definition = schedule(tmp_path, due + timedelta(seconds=20))
    assert (definition.name, definition.cron_schedule) == ("morning_report_schedule", "30 6 * * *")
    assert definition.execution_timezone == "Europe/Berlin"
    assert definition.default_status is dg.DefaultScheduleStatus.RUNNING
    request = tick(definition, due)
    assert isinstance(request, dg.RunRequest)
    assert request.tags[labels.LOGICAL_TIME] == "2026-07-01T04:30:00Z"
    assert request.tags[labels.TRIGGER] == "schedule"


def test_a_missed_run_is_made_up_for_inside_the_window_only(tmp_path: Path) -> None:
    due = datetime(2026, 7, 1, 4, 30, tzinfo=UTC)
    request = tick(schedule(tmp_path, due + timedelta(hours=2)), due)
    assert isinstance(request, dg.RunRequest)
    assert request.tags[labels.LOGICAL_TIME] == "2026-07-01T04:30:00Z"
    reason = tick(schedule(tmp_path, due + timedelta(hours=5)), due)
    assert isinstance(reason, str)
    assert reason.startswith("The run of 2026-07-01 06:30 was missed, and now it is too late: 11:30 in Europe/Berlin")


def test_a_tick_outside_the_window_says_so(tmp_path: Path) -> None:
    due = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    reason = tick(schedule(tmp_path, due), due)
    assert reason == "14:00 in Europe/Berlin is not between 06:00 and 09:00, the window of this schedule"


def test_a_file_that_broke_has_no_schedule(tmp_path: Path) -> None:
    defs = definitions(home(tmp_path, {"bad": SCHEDULED.replace("{team: ops}", "{.dagster/x: y}"), "good": SCHEDULED}))
    assert [found.name for found in defs.get_repository_def().schedule_defs] == ["good_schedule"]


def test_the_module_that_dagster_loads_reads_the_home_folder(tmp_path: Path) -> None:
    home(tmp_path, {"failed-commands": FAILED})
    text = "from export_pipeline.definitions import defs; print(sorted(defs.get_repository_def().job_names))"
    run = [sys.executable, "-W", "error::DeprecationWarning:export_pipeline", "-c", text]
    done = subprocess.run(run, env={"EXPORT_PIPELINE_HOME": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "['export', 'failed_commands']", done.stderr
