"""One signed POST that arrives, is repeated while that can help, and leaks neither address nor key."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import time
from email.utils import parsedate_to_datetime

import httpx
from pydantic import SecretStr

from export_pipeline.errors import ConfigError, DeliveryError, TransientDeliveryError
from export_pipeline.secrets import redact

REPEATED = {408, 409, 425, 429}
"""Answers, beside those from 500 on, after which trying again can help."""
FIRST_WAIT = 0.5
LONGEST_WAIT = 15.0
"""Seconds before the second try, doubling, and the most that a `Retry-After` is obeyed."""


def post(
    url: SecretStr,
    body: bytes,
    *,
    message_id: str,
    key: SecretStr | None,
    attempts: int,
    timeout: float,
    shown: str,
) -> None:
    """Send a JSON body; raises `DeliveryError`, or `TransientDeliveryError` where trying again later can help.

    `shown` stands for the address in messages. The connection ignores proxies of the environment.
    """
    secrets = [url] if key is None else [url, key]
    failure = ""
    # The transport alone, without httpx's client: the client writes every address it asks into the log.
    with httpx.HTTPTransport(trust_env=False) as transport:
        for attempt in range(attempts):
            wait: float | None = None
            try:
                response = transport.handle_request(_request(url, body, message_id, key, timeout))
                try:
                    answer = "" if response.is_success else _start_of(response)
                finally:
                    response.close()
            except (httpx.InvalidURL, httpx.UnsupportedProtocol):
                raise ConfigError(f"{shown} is no address that can be called") from None
            except httpx.TransportError as error:
                failure = f"{shown} was not reached: {redact(str(error), secrets) or type(error).__name__}"
            else:
                if response.is_success:
                    return
                failure = f"{shown} answered {response.status_code}: {redact(answer, secrets)}".rstrip(": ")
                if response.status_code not in REPEATED and response.status_code < 500:
                    raise DeliveryError(failure, cure=_cure(response.status_code))
                wait = retry_after(response.headers.get("retry-after"))
            if attempt + 1 < attempts:
                time.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2**attempt if wait is None else wait))
    raise TransientDeliveryError(f"{failure} (tried {attempts} times)" if attempts > 1 else failure)


def sign(key: SecretStr, message_id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a message by Standard Webhooks: HMAC-SHA256 of id, timestamp and body."""
    text = key.get_secret_value()
    raw = text.encode()
    if text.startswith("whsec_"):
        try:
            raw = base64.b64decode(text.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise ConfigError("the signing key of the webhook begins with whsec_, but no base64 follows") from None
    digest = hmac.new(raw, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def retry_after(value: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` asks for, given in seconds or as a date; None for none or nonsense."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _request(url: SecretStr, body: bytes, message_id: str, key: SecretStr | None, timeout: float) -> httpx.Request:
    timestamp = str(int(time.time()))
    headers = {"content-type": "application/json", "user-agent": "export_pipeline", "webhook-id": message_id}
    headers["webhook-timestamp"] = timestamp
    if key is not None:
        headers["webhook-signature"] = sign(key, message_id, timestamp, body)
    limits = httpx.Timeout(timeout).as_dict()
    return httpx.Request("POST", url.get_secret_value(), content=body, headers=headers, extensions={"timeout": limits})


def _start_of(response: httpx.Response) -> str:
    """Return the first words of the answer, on one line; the rest is not fetched."""
    chunk = next(response.iter_raw(), b"")
    return " ".join(chunk[:200].decode(errors="replace").split())


def _cure(status: int) -> str | None:
    if 300 <= status < 400:
        return "Redirects are not followed: write the address that the redirect names."
    if status == 410:
        return "The receiver says that this address is gone: take it out of notify."
    return None
