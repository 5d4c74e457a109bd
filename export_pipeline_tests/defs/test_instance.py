from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.run_coordinator import QueuedRunCoordinator

from export_pipeline import labels, yaml
from export_pipeline.defs.instance import settings

ROOT = Path(__file__).parents[2]
CLONE = ROOT / "dagster.yaml"
PLACES = ("storage", "local_artifact_storage", "compute_logs")


def test_a_clone_has_the_settings_of_a_home_but_for_the_places() -> None:
    clone = yaml.load(CLONE.read_text("utf-8")).data
    assert {name: value for name, value in clone.items() if name not in PLACES} == yaml.load(settings()).data


@pytest.mark.parametrize("text", [CLONE.read_text("utf-8"), settings()])
def test_dagster_takes_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dagster.yaml").write_text(text, encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        coordinator = instance.run_coordinator
        assert isinstance(coordinator, QueuedRunCoordinator)
        assert coordinator.dequeue_interval_seconds == 1
        assert not instance.telemetry_enabled
        assert instance.run_retries_enabled
        assert not instance.run_retries_retry_on_asset_or_op_failure
        limits = instance.get_concurrency_config().run_queue_config
        assert limits is not None
        assert {limit["key"] for limit in limits.tag_concurrency_limits} == {labels.STORE, labels.DESTINATION}
        instance.get_runs(limit=1)
    made = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.db")}
    assert made == ({".dagster_home"} if "storage:" in text else {"history", "schedules"})


def test_plain_dagster_dev_finds_the_definitions() -> None:
    workspace = yaml.load((ROOT / "workspace.yaml").read_text("utf-8")).data
    assert workspace == {"load_from": [{"python_module": "export_pipeline.definitions"}]}
