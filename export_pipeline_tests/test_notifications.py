"""Notifications against a real HTTP server: what arrives, how often, signed, and without leaking the address."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

import pytest
from pydantic import Field, SecretStr, TypeAdapter

from export_pipeline import webhooks
from export_pipeline.errors import ConfigError, DeliveryError, ExportError, TransientDeliveryError
from export_pipeline.incidents import Incidents
from export_pipeline.notifications import AnyNotification, Means, Notice, Notification, notify
from export_pipeline.options import Options
from export_pipeline.parsing import parse
from export_pipeline.secrets import Secret

TOKEN = "T0K3N-that-nobody-may-see"
MONDAY = datetime(2026, 11, 2, 6, 30, tzinfo=UTC)
FAILURE = Notice(
    kind="failure",
    export="daily-costs",
    run_id="run-1",
    logical_time=MONDAY,
    message="the store 'dashboard' is locked\nby another process",
    cure="Try again later.",
    details={"stage": "extract", "folder": Path("reports")},
)


class Holder(Options):
    notify: Annotated[list[AnyNotification], Field(min_length=1)]


def notifications(*data: Any) -> list[Notification]:
    return list(parse(Holder, {"notify": list(data)}).notify)


class Receiver(ThreadingHTTPServer):
    """Answers with the queued replies, then 200; keeps what it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[tuple[int, dict[str, str], str]] = []
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.delay = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/{TOKEN}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        time.sleep(self.server.delay)
        status, headers, text = self.server.replies.pop(0) if self.server.replies else (200, {}, "ok")
        if status == 0:  # hang up without an answer
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(webhooks, "FIRST_WAIT", 0.02)
    server = Receiver()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("EXPORT_HOOK", server.url)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def incidents(tmp_path: Path) -> Incidents:
    return Incidents(tmp_path / "incidents.sqlite")


HOOK = {"webhook": {"url": {"env": "EXPORT_HOOK"}}}


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
    notify(hooks, replace(FAILURE, logical_time=MONDAY + timedelta(days=1)), incidents)
    assert len(receiver.got) == 1
    works = Notice(kind="success", export="daily-costs", run_id="run-9", logical_time=MONDAY + timedelta(days=2))
    for _ in range(2):  # a sensor may see the same run twice
        notify(hooks, works, incidents)
    notify(hooks, replace(FAILURE, logical_time=MONDAY + timedelta(days=3)), incidents)
    types = [json.loads(body)["type"] for _, _, body in receiver.got]
    assert types == ["export.failure", "export.recovery", "export.success", "export.failure"]
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 4


def test_each_is_told_of_what_it_wants(receiver: Receiver, incidents: Incidents) -> None:
    hooks = notifications(HOOK, {"webhook": {"url": receiver.url, "on": "recovery"}})
    notify(hooks, FAILURE, incidents)
    notify(hooks, Notice("success", "daily-costs", "run-2", MONDAY), incidents)
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


def test_transient_answers_are_repeated_with_one_id(receiver: Receiver, incidents: Incidents) -> None:
    receiver.replies = [(503, {}, ""), (429, {"retry-after": "0"}, "")]
    assert notify(notifications(HOOK), FAILURE, incidents) == []
    assert len(receiver.got) == 3
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1


def test_a_retry_after_is_obeyed(receiver: Receiver, incidents: Incidents) -> None:
    receiver.replies = [(429, {"retry-after": "1"}, "")]
    started = time.monotonic()
    assert notify(notifications(HOOK), FAILURE, incidents) == []
    assert 1 <= time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (400, {}, "answered 400: no such field"),
        (404, {}, "answered 404"),
        (410, {}, "take it out of notify"),
        (302, {"location": "http://127.0.0.1:1/elsewhere"}, "Redirects are not followed"),
    ],
)
def test_other_answers_are_final(
    receiver: Receiver, incidents: Incidents, status: int, headers: dict[str, str], said: str
) -> None:
    receiver.replies = [(status, headers, "no such\nfield")]
    (error,) = notify(notifications(HOOK), FAILURE, incidents)
    assert isinstance(error, DeliveryError)
    assert not error.transient
    assert said in str(error)
    assert len(receiver.got) == 1


def test_a_receiver_that_hangs_up_or_sleeps_is_transient(receiver: Receiver, incidents: Incidents) -> None:
    receiver.replies = [(0, {}, "")]
    (error,) = notify(notifications({"webhook": {"url": receiver.url, "attempts": 1}}), FAILURE, incidents)
    assert error.transient
    receiver.delay = 1.5
    slow = notifications({"webhook": {"url": receiver.url, "attempts": 1, "timeout": "1s"}})
    started = time.monotonic()
    (error,) = notify(slow, FAILURE, incidents)
    assert error.transient
    assert 1 <= time.monotonic() - started < 1.4


def test_nobody_there_is_transient_and_says_how_often_it_was_tried(
    incidents: Incidents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "FIRST_WAIT", 0.01)
    (error,) = notify(notifications({"webhook": "http://127.0.0.1:9/x"}), FAILURE, incidents)
    assert error.transient
    assert "the webhook 127.0.0.1 was not reached" in str(error)
    assert "(tried 3 times)" in str(error)


def test_a_proxy_of_the_environment_is_ignored(
    receiver: Receiver, incidents: Incidents, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert notify(notifications(HOOK), FAILURE, incidents) == []
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "key", ["plain text key", "whsec_" + base64.b64encode(b"thirty-two bytes of a signing key").decode()]
)
def test_the_signature_is_that_of_standard_webhooks(
    receiver: Receiver, incidents: Incidents, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_KEY", key)
    hook = notifications({"webhook": {"url": receiver.url, "signingKey": {"env": "OPS_KEY"}}})
    assert notify(hook, FAILURE, incidents, Means(environment=["OPS_KEY"])) == []
    ((_, headers, body),) = receiver.got
    raw = base64.b64decode(key[6:]) if key.startswith("whsec_") else key.encode()
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(raw, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60


def test_neither_log_nor_error_shows_address_or_key(
    receiver: Receiver, incidents: Incidents, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("EXPORT_KEY", "K3Y-that-nobody-may-see")
    hook = notifications({"webhook": {"url": {"env": "EXPORT_HOOK"}, "signing_key": {"env": "EXPORT_KEY"}}})
    receiver.replies = [(500, {}, f"cannot post to {receiver.url}")] * 3
    errors = notify(hook, FAILURE, incidents)
    monkeypatch.setenv("EXPORT_HOOK", f"ftp://files.example/{TOKEN}")
    errors += notify(hook, FAILURE, incidents)
    monkeypatch.setenv("EXPORT_HOOK", f"http://[bad/{TOKEN}")
    errors += notify(hook, FAILURE, incidents)
    monkeypatch.setenv("EXPORT_HOOK", f"http://127.0.0.1:9/{TOKEN}")
    errors += notify(hook, FAILURE, incidents)
    assert len(errors) == 4
    shown = [*map(str, errors), *map(repr, errors), caplog.text, repr(hook)]
    for error in errors:
        cause: BaseException | None = error
        while cause is not None:
            shown.append(str(cause))
            cause = cause.__cause__
    assert "cannot post to ***" in str(errors[0])
    for text in shown:
        assert TOKEN not in text
        assert "K3Y" not in text


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
    notify(log, Notice("success", "daily-costs", "run-3", MONDAY), incidents, means)
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


def test_retry_after_forms() -> None:
    assert webhooks.retry_after(None) is None
    assert webhooks.retry_after("7") == 7
    assert webhooks.retry_after("soon") is None
    assert webhooks.retry_after(formatdate(time.time() - 60)) == 0
    later = webhooks.retry_after(formatdate(time.time() + 60))
    assert later is not None
    assert 55 < later <= 60


def test_a_broken_signing_key_is_named_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="no base64 follows") as caught:
        webhooks.sign(SecretStr("whsec_!!!"), "id", "1", b"")
    assert "!!!" not in str(caught.value)


def test_written_and_read_again() -> None:
    for data in ("log", {"log": {"on": "success"}}, HOOK, {"webhook": "https://example.org/x"}):
        (one,) = notifications(data)
        dumped = Holder(notify=[one]).dump()["notify"]
        assert notifications(*dumped) == [one]
    assert TypeAdapter(Secret).json_schema()["required"] == ["env"]


def test_errors_of_this_package_are_what_notify_returns(incidents: Incidents) -> None:
    errors: list[ExportError] = notify(notifications("log"), FAILURE, incidents)
    assert errors == []
