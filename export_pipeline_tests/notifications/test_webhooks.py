"""The POST itself, against a real HTTP server: repeated, signed, and without leaking address or key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import time
from email.utils import formatdate

import pytest
from pydantic import SecretStr

from export_pipeline.errors import ConfigError, DeliveryError
from export_pipeline.notifications import Means, notify, webhooks
from export_pipeline.notifications.incidents import Incidents
from export_pipeline_tests.receiver import FAILURE, HOOK, TOKEN, Receiver, notifications
from export_pipeline_tests.receiver import incidents as incidents
from export_pipeline_tests.receiver import receiver as receiver


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
    receiver.delay = 3
    slow = notifications({"webhook": {"url": receiver.url, "attempts": 1, "timeout": "1s"}})
    started = time.monotonic()
    (error,) = notify(slow, FAILURE, incidents)
    assert error.transient
    assert 1 <= time.monotonic() - started < 2.5


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
