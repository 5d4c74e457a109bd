"""Who is told what, and how often, with a real HTTP server at the other end."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from export_pipeline.errors import ConfigError, ExportError, TransientDeliveryError
from export_pipeline.notifications import Means, Notice, notify, webhooks
from export_pipeline.notifications.incidents import Incidents
from export_pipeline.secrets import Secret
from export_pipeline_tests.receiver import FAILURE, HOOK, MONDAY, TOKEN, Holder, Receiver, notifications
from export_pipeline_tests.receiver import incidents as incidents
from export_pipeline_tests.receiver import receiver as receiver

DAY = timedelta(days=1)


def test_what_arrives(receiver: Receiver, incidents: Incidents) -> None:
    assert notify(notifications(HOOK), FAILURE, incidents) == []
    ((path, headers, body),) = receiver.got
    assert path == f"/hooks/{TOKEN}"
    assert headers["content-type"] == "application/json"
    assert "webhook-signature" not in headers
    sent = json.loads(body)
    assert sent["type"] == "export.failure"
    assert datetime.fromisoformat(sent["timestamp"]).tzinfo is not None
    assert sent["data"] == {
        "export": "daily-costs",
        "run_id": "run-1",
        "logical_time": "2026-11-02T06:30:00+00:00",
        "text": "export daily-costs failed, failing since 2026-11-02 06:30 UTC:"
        " the store 'dashboard' is locked by another process",
        "message": FAILURE.message,
        "cure": "Try again later.",
        "stage": "extract",
        "folder": "reports",
        "incident": {
            "key": "daily-costs@2026-11-02T06:30:00.000000+00:00",
            "since": "2026-11-02T06:30:00+00:00",
            "failures": 1,
        },
    }


def test_once_per_incident_not_per_attempt(receiver: Receiver, incidents: Incidents) -> None:
    hooks = notifications({"webhook": {"url": receiver.url, "on": ["failure", "recovery", "success"]}})
    for attempt in range(3):
        notify(hooks, replace(FAILURE, run_id=f"run-{attempt}"), incidents)
    notify(hooks, replace(FAILURE, logical_time=MONDAY + DAY, ended=MONDAY + DAY), incidents)
    assert len(receiver.got) == 1
    works = Notice(
        kind="success", export="daily-costs", run_id="run-9", logical_time=MONDAY + 2 * DAY, ended=MONDAY + 2 * DAY
    )
    for _ in range(2):  # a sensor may see the same run twice
        notify(hooks, works, incidents)
    notify(hooks, replace(FAILURE, logical_time=MONDAY + 3 * DAY, ended=MONDAY + 3 * DAY), incidents)
    types = [json.loads(body)["type"] for _, _, body in receiver.got]
    assert types == ["export.failure", "export.recovery", "export.success", "export.failure"]
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 4


def test_a_failure_that_is_heard_of_after_the_success_leaves_nothing_open(
    receiver: Receiver, incidents: Incidents
) -> None:
    hooks = notifications(
        {"webhook": {"url": receiver.url, "on": ["failure", "recovery"]}},
        {"webhook": {"url": f"{receiver.url}/recoveries", "on": "recovery"}},
    )
    works = Notice("success", "daily-costs", "run-9", MONDAY + DAY, MONDAY + DAY)
    for _ in range(2):
        for notice in (works, FAILURE, replace(FAILURE, run_id="run-2", ended=MONDAY + DAY / 2)):
            assert notify(hooks, notice, incidents) == []
    failure, recovery = (json.loads(body) for _, _, body in receiver.got)
    assert (failure["type"], recovery["type"]) == ("export.failure", "export.recovery")
    assert recovery["data"]["text"] == "export daily-costs works again; it had been failing since 2026-11-02 06:30 UTC"
    assert "stage" in failure["data"]
    assert "stage" not in recovery["data"]
    assert incidents.open() == []


def test_a_recovery_that_was_not_reached_is_told_when_the_success_is_seen_again(
    receiver: Receiver, incidents: Incidents
) -> None:
    hooks = notifications({"webhook": {"url": receiver.url, "attempts": 1, "on": ["failure", "recovery"]}})
    works = Notice("success", "daily-costs", "run-9", MONDAY + DAY, MONDAY + DAY)
    receiver.replies = [(200, {}, ""), (503, {}, "")]
    told = [len(notify(hooks, notice, incidents)) for notice in (FAILURE, works, works, works)]
    assert told == [0, 1, 0, 0]
    assert [json.loads(body)["type"] for _, _, body in receiver.got] == ["export.failure"] + 2 * ["export.recovery"]


def test_each_is_told_of_what_it_wants(receiver: Receiver, incidents: Incidents) -> None:
    hooks = notifications(HOOK, {"webhook": {"url": receiver.url, "on": "recovery"}})
    notify(hooks, FAILURE, incidents)
    notify(hooks, Notice("success", "daily-costs", "run-2", MONDAY, MONDAY), incidents)
    # the second wants only recoveries: it never heard of the failure, so there is none to tell it
    assert [json.loads(body)["type"] for _, _, body in receiver.got] == ["export.failure"]


def test_one_that_was_not_reached_is_told_at_the_next_failure(receiver: Receiver, incidents: Incidents) -> None:
    hooks = notifications({"webhook": {"url": receiver.url, "attempts": 1}}, {"webhook": {"url": f"{receiver.url}/b"}})
    receiver.replies = [(503, {}, "later")]
    (error,) = notify(hooks, FAILURE, incidents)
    assert isinstance(error, TransientDeliveryError)
    assert str(error) == "the webhook 127.0.0.1 answered 503: later"
    assert notify(hooks, FAILURE, incidents) == []
    paths = [path.removeprefix(f"/hooks/{TOKEN}") for path, _, _ in receiver.got]
    assert paths == ["", "/b", ""]  # the one that answered was not told twice


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"webhook": {}}, "'url' is missing"),
        ({"webhook": "ftp://example.org/x"}, "http:// or https://"),
        ({"webhook": "file:///etc/passwd"}, "http:// or https://"),
        ({"webhook": "https:///x"}, "http:// or https://"),
        ({"webhook": "https://me:pw@example.org"}, "{env: NAME}"),
        ({"webhook": {"url": {"env": "A B"}}}, "should match pattern"),
        ({"webhook": {"url": "https://a.example", "attempts": 0}}, "greater than or equal to 1"),
        ({"webhook": {"url": "https://a.example", "on": "fail"}}, "'failure', 'success' or 'recovery'"),
        ({"webhook": {"url": "https://a.example", "timeout": "0s"}}, "at least a second"),
        ({"log": {"on": []}}, "at least 1 item"),
        ({"log": {"level": "x"}}, "unknown option 'level'"),
        ({"mail": {}}, "unknown notification 'mail'"),
    ],
)
def test_what_is_refused_says_why(data: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        notifications(data)
    assert said in str(caught.value)


def test_a_secret_that_may_not_be_read_is_told_and_stops_nobody_else(
    receiver: Receiver, incidents: Incidents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_HOOK", receiver.url)
    hooks = notifications({"webhook": {"url": {"env": "OPS_HOOK"}}}, HOOK)
    (error,) = notify(hooks, FAILURE, incidents)
    assert isinstance(error, ConfigError)
    assert "may not be read" in str(error)
    assert len(receiver.got) == 1
    assert notify(hooks, FAILURE, incidents, Means(environment={"OPS_HOOK"})) == []
    assert len(receiver.got) == 2


def test_the_log(incidents: Incidents, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = notifications({"log": {"on": ["failure", "recovery"]}})
    means = Means(log=logging.getLogger("runs"))
    notify(log, FAILURE, incidents, means)
    notify(log, FAILURE, incidents, means)
    notify(log, Notice("success", "daily-costs", "run-3", MONDAY, MONDAY), incidents, means)
    failed = (
        "export daily-costs failed, failing since 2026-11-02 06:30 UTC:"
        " the store 'dashboard' is locked by another process"
    )
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "runs",
            "ERROR",
            f"{failed} (Try again later.)",
        ),
        ("runs", "INFO", "export daily-costs works again; it had been failing since 2026-11-02 06:30 UTC"),
    ]


def test_an_interrupt_gives_the_claim_back(incidents: Incidents, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    hook = notifications({"webhook": "https://example.org/x"})
    monkeypatch.setattr(webhooks, "post", interrupted)
    with pytest.raises(KeyboardInterrupt):
        notify(hook, FAILURE, incidents)
    assert incidents.claim(replace(FAILURE, incident=incidents.open()[0]).subject, hook[0].channel())


def test_written_and_read_again() -> None:
    for data in ("log", {"log": {"on": "success"}}, HOOK, {"webhook": "https://example.org/x"}):
        (one,) = notifications(data)
        dumped = Holder(notify=[one]).dump()["notify"]
        assert notifications(*dumped) == [one]
    assert TypeAdapter(Secret).json_schema()["required"] == ["env"]


def test_errors_of_this_package_are_what_notify_returns(incidents: Incidents) -> None:
    errors: list[ExportError] = notify(notifications("log"), FAILURE, incidents)
    assert errors == []
