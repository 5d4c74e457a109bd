"""Encryption of a Parquet file: AES-GCM, the standard's *modular encryption*, with a key from the environment."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from typing import ClassVar

from export_pipeline.errors import ConfigError
from export_pipeline.options import Options
from export_pipeline.secrets import Secret

_SIZES = (16, 24, 32)


class Encryption(Options):
    """The whole file, footer and all columns, under one key. Each writing draws new random numbers, so the bytes differ
    each time."""

    tag: ClassVar[str] = "encryption"
    short: ClassVar[str | None] = "key"

    key: Secret
    """The environment variable that holds the key in base64: 16, 24 or 32 bytes (`openssl rand -base64 32`)."""

    def resolve(self, environment: Collection[str] = ()) -> bytes:
        """Return the key's bytes. Raises ConfigError that never shows it."""
        text = self.key.resolve(environment).get_secret_value()
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) not in _SIZES:
            raise ConfigError(
                f"the environment variable {self.key.env} does not hold a key: 16, 24 or 32 bytes in base64",
                cure="Make one: openssl rand -base64 32",
            )
        return key
