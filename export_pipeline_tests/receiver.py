"""A real HTTP server that takes webhooks, and what there is to tell it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Annotated, Any

import pytest
from pydantic import Field

from export_pipeline.notifications import AnyNotification, Notice, Notification, webhooks
from export_pipeline.notifications.incidents import Incidents
from export_pipeline.options import Options
from export_pipeline.parsing import parse

TOKEN = "T0K3N-that-nobody-may-see"
MONDAY = datetime(2026, 11, 2, 6, 30, tzinfo=UTC)
FAILURE = Notice(
    kind="failure",
    export="daily-costs",
    run_id="run-1",
    logical_time=MONDAY,
    ended=MONDAY,
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
