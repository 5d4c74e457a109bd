"""Who is told how a run ended: in the log, or at a web address; of a failure once per incident, not per attempt.

A webhook gets a POST with a JSON body, ``{"type": "export.failure", "timestamp": ..., "data": {...}}``, and, where a
signing key is given, the headers of Standard Webhooks (``webhook-id``, ``webhook-timestamp``, ``webhook-signature``).
The id stays the same over all attempts, so that a receiver can tell a repetition from news.
"""

from __future__ import annotations

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, SecretStr, Tag, field_validator

from export_pipeline.errors import ConfigError, ExportError
from export_pipeline.lists import named
from export_pipeline.notifications.incidents import Incident, Incidents
from export_pipeline.options import SHORT, OneOf, Options
from export_pipeline.secrets import Secret
from export_pipeline.times import Duration

logger = logging.getLogger(__name__)

Kind = Literal["failure", "success", "recovery"]
LEVELS: Mapping[Kind, int] = {"failure": logging.ERROR, "success": logging.INFO, "recovery": logging.INFO}


@dataclass(frozen=True)
class Notice:
    """What there is to tell of a run."""

    kind: Kind
    export: str
    run_id: str
    logical_time: datetime
    ended: datetime
    """When the run ended, by the clock."""
    message: str = ""
    """The cause of a failure, in one line; for people."""
    cure: str | None = None
    """What a person can do about it."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """More that is JSON: the stage, files, rows, the run's address."""
    incident: Incident | None = None
    """The incident that a failure belongs to, or that a recovery ends."""

    @property
    def subject(self) -> str:
        """What is told once: an incident's failure, its recovery, or the success of one run."""
        if self.incident is None:
            return f"{self.export}#{self.run_id}#{self.kind}"
        return self.incident.key if self.kind == "failure" else self.incident.recovery

    def sentence(self) -> str:
        """Say it in English, in one line."""
        what = {"failure": "failed", "success": "succeeded", "recovery": "works again"}[self.kind]
        since = ""
        if self.incident is not None:
            words = "; it had been failing since" if self.kind == "recovery" else ", failing since"
            since = f"{words} {self.incident.since:%Y-%m-%d %H:%M} UTC"
        why = f": {' '.join(self.message.split())}" if self.message else ""
        return f"export {self.export} {what}{since}{why}"

    def payload(self) -> dict[str, Any]:
        """Return the notice as JSON data."""
        data: dict[str, Any] = {
            "export": self.export,
            "run_id": self.run_id,
            "logical_time": self.logical_time.astimezone(UTC).isoformat(),
            "text": self.sentence(),
            "message": self.message,
            "cure": self.cure,
            **self.details,
        }
        if self.incident is not None:
            since = self.incident.since.isoformat()
            data["incident"] = {"key": self.incident.key, "since": since, "failures": self.incident.failures}
        return {"type": f"export.{self.kind}", "timestamp": datetime.now(UTC).isoformat(), "data": data}


_Kinds = Annotated[Kind, SHORT] | tuple[Kind, ...]


def _web_address(text: str) -> str:
    """Check that a text is an http(s) address without a password in it."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a webhook is an http:// or https:// address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a password does not stand in an address: name the variable that holds it, {env: NAME}")
    return text


Address = Annotated[
    Annotated[Secret, Tag("secret")] | Annotated[str, AfterValidator(_web_address), Tag("address")],
    Discriminator(lambda value: "address" if isinstance(value, str) else "secret"),
]


@dataclass(frozen=True)
class Means:
    """What it takes to tell somebody."""

    environment: Collection[str] = ()
    """The environment variables that may be read as secrets, beside those that always may."""
    log: logging.Logger = logger
    """Where lines of the log go."""


class Notification(Options, ABC):
    """One who is told."""

    on: Annotated[tuple[Kind, ...], BeforeValidator(named, json_schema_input_type=_Kinds), Field(min_length=1)] = (
        "failure",
    )
    """What is told: a `failure` once per incident, a `recovery` when the export works again, each `success`."""

    def wants(self, notice: Notice) -> bool:
        """Return whether this one is told of such a notice."""
        return notice.kind in self.on

    def channel(self) -> str:
        """Return what tells this one from others: the same for the same options, without showing them."""
        return f"{self.tag}:{hashlib.sha256(json.dumps(self.dump(), sort_keys=True).encode()).hexdigest()[:16]}"

    @abstractmethod
    def send(self, notice: Notice, means: Means) -> None:
        """Tell it; raises a `DeliveryError`, or a `ConfigError` for a secret that may not be read or is not set."""


class Log(Notification):
    """A line in the log of the run's process."""

    tag: ClassVar[str] = "log"

    def send(self, notice: Notice, means: Means) -> None:
        """Write the line; a failure is an error, the rest is information."""
        cure = f" ({notice.cure})" if notice.cure else ""
        means.log.log(LEVELS[notice.kind], "%s%s", notice.sentence(), cure)


class Webhook(Notification):
    """A POST with JSON to a web address; redirects are not followed."""

    tag: ClassVar[str] = "webhook"
    short: ClassVar[str | None] = "url"

    url: Address
    """The address, or `{env: NAME}` for one that is itself a secret."""
    signing_key: Secret | None = None
    """The variable with the key that signs each message, as Standard Webhooks has it (`whsec_...`, or any text)."""
    timeout: Duration = Field(default=timedelta(seconds=10), validate_default=True)
    """How long one attempt waits for the connection, and for each part of the answer."""
    attempts: int = Field(default=3, ge=1, le=10)
    """How often it is tried, where trying again can help."""

    @field_validator("timeout")
    @classmethod
    def _some_time(cls, timeout: timedelta) -> timedelta:
        if timeout < timedelta(seconds=1):
            raise ValueError("a webhook is given at least a second")
        return timeout

    def send(self, notice: Notice, means: Means) -> None:
        """Post the notice; secrets are read now and forgotten."""
        from export_pipeline.notifications.webhooks import post

        url = self.url.resolve(means.environment) if isinstance(self.url, Secret) else SecretStr(self.url)
        shown = urlsplit(self.url).hostname if isinstance(self.url, str) else f"of {self.url.env}"
        try:
            _web_address(url.get_secret_value())
        except ValueError as error:
            raise ConfigError(f"the webhook {shown}: {error}") from None
        key = self.signing_key.resolve(means.environment) if self.signing_key is not None else None
        post(
            url,
            json.dumps(notice.payload(), ensure_ascii=False, default=str).encode(),
            message_id=hashlib.sha256(notice.subject.encode()).hexdigest()[:32],
            key=key,
            attempts=self.attempts,
            timeout=self.timeout.total_seconds(),
            shown=f"the webhook {shown}",
        )


AnyNotification = Annotated[Log | Webhook, OneOf("notification")]


def notify(
    notifications: Iterable[Notification],
    notice: Notice,
    incidents: Incidents,
    means: Means | None = None,
) -> list[ExportError]:
    """Record how a run ended and tell those who want to know, each once; return the errors of those not reached.

    Give a failure or a success; a success that ends an incident tells those who were told of it of the recovery, too.
    So does a failure that was overtaken by a success.
    One who cannot be reached keeps nobody else from being told, and is tried again at the next failure of the incident.
    """
    means = means or Means()
    notices = _notices(notice, incidents)
    errors: list[ExportError] = []
    for one in notifications:
        channel = one.channel()
        for news in notices:
            ended = news.incident if news.kind == "recovery" else None
            unheard = ended is not None and not incidents.told(ended.key, channel)
            if unheard or not one.wants(news) or not incidents.claim(news.subject, channel):
                continue
            try:
                one.send(news, means)
            except ExportError as error:
                incidents.release(news.subject, channel)
                means.log.warning("%s could not be told: %s", one.tag, error)
                errors.append(error)
            except BaseException:
                incidents.release(news.subject, channel)
                raise
            else:
                incidents.confirm(news.subject, channel)
    return errors


def _notices(notice: Notice, incidents: Incidents) -> list[Notice]:
    """Return what there is to tell: a failure with its incident, or a success and the recovery that it is."""
    when = (notice.export, notice.logical_time, notice.ended)
    if notice.kind == "failure":
        incident = incidents.failed(*when)
        failure = replace(notice, incident=incident)
        return [failure, _recovery(failure, incident)] if incident.over else [failure]
    ended = incidents.succeeded(*when)
    return [notice] if ended is None else [_recovery(notice, ended), notice]


def _recovery(notice: Notice, ended: Incident) -> Notice:
    details = {name: value for name, value in notice.details.items() if name != "stage"}
    return replace(notice, kind="recovery", incident=ended, message="", cure=None, details=details)
