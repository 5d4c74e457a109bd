"""What the sensors make of runs that they hear of late, and in another order than these ended."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from export_pipeline import labels
from export_pipeline.defs.sensors import INCIDENTS, sensors
from export_pipeline.home import Home
from export_pipeline.notifications.incidents import Incidents
from export_pipeline_tests.defs.homes import home

EXPORT = """
source: {files: commands.parquet}
notify:
  - log: {on: [failure, recovery]}
"""


@pytest.fixture
def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


def ran(instance: dg.DagsterInstance, *, well: bool, name: str = "daily") -> dg.DagsterRun:
    """Run a job called as the export; it has no plan, as those that fail before it, but a time if it ends well."""

    @dg.op
    def work() -> None:
        if not well:
            raise dg.Failure("there is no file")

    @dg.job(name=name)
    def job() -> None:
        work()

    tags = {labels.LOGICAL_TIME: datetime.now(UTC).isoformat()} if well else {}
    result = job.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
    assert result.success is well
    return result.dagster_run


def hear(at: Home, instance: dg.DagsterInstance, run_id: str) -> None:
    """Let the sensor that is meant hear of a run."""
    run = instance.get_run_by_id(run_id)
    assert run is not None
    failure, success, _ = sensors(at)
    failed = run.status == dg.DagsterRunStatus.FAILURE
    sensor = failure if failed else success
    kind = dg.DagsterEventType.RUN_FAILURE if failed else dg.DagsterEventType.RUN_SUCCESS
    event = instance.get_records_for_run(run_id, of_type=kind).records[0].event_log_entry.dagster_event
    assert event is not None
    context = dg.build_run_status_sensor_context(sensor.name, event, instance, run)
    assert isinstance(sensor, dg.RunStatusSensorDefinition)
    sensor(context.for_run_failure() if failed else context)


def test_a_failure_stands_for_when_it_ran_not_for_when_it_was_heard_of(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    at = home(tmp_path, {"daily": EXPORT})
    first, second = (ran(instance, well=False).run_id for _ in range(2))
    hear(at, instance, first)
    works = ran(instance, well=True).run_id
    time.sleep(0.05)
    hear(at, instance, second)
    (incident,) = Incidents(at.root / INCIDENTS).open()
    record = instance.get_run_record_by_id(first)
    assert record is not None
    assert incident.since.timestamp() == pytest.approx(record.start_time)
    assert incident.failures == 2
    hear(at, instance, works)
    assert Incidents(at.root / INCIDENTS).open() == []


def test_a_failure_that_is_heard_of_after_the_success_opens_nothing(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    at = home(tmp_path, {"daily": EXPORT})
    failed = ran(instance, well=False).run_id
    hear(at, instance, ran(instance, well=True).run_id)
    hear(at, instance, failed)
    assert Incidents(at.root / INCIDENTS).open() == []
    hear(at, instance, ran(instance, well=False).run_id)
    assert [incident.export for incident in Incidents(at.root / INCIDENTS).open()] == ["daily"]


@pytest.mark.parametrize("well", [False, True])
@pytest.mark.parametrize("names", [["other", "daily"], ["daily", "other"], ["other", "other"], ["daily", "daily"]])
def test_a_tick_may_look_at_runs_of_which_some_are_told(
    names: list[str], well: bool, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    at = home(tmp_path, {"daily": EXPORT, "other": "source: {files: commands.parquet}\n"})
    sensor = sensors(at)[well]
    begun = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
    for name in names:
        ran(instance, well=well, name=name)
    tick = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=begun.cursor))
    assert [reaction.error for reaction in tick.dagster_run_reactions or ()] == [None, None]
    assert tick.cursor != begun.cursor
