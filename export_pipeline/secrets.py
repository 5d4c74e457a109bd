"""Secrets: named in an export, read from the environment at the moment of use, never stored, never shown.

A person who may launch an export must not be able to read any variable of the process, so only listed variables, and
those whose name begins with ``EXPORT_``, can be secrets.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import AfterValidator, Field, SecretStr, model_validator

from export_pipeline.errors import ConfigError, did_you_mean
from export_pipeline.options import Options

PREFIX = "EXPORT_"
"""Variables whose names begin so can always be secrets."""
HIDDEN = "***"


def allowed(name: str, environment: Collection[str] = ()) -> bool:
    """Return whether an environment variable may be read as a secret: it has the `PREFIX` or `environment` lists it."""
    return name.startswith(PREFIX) or name in environment


class Secret(Options):
    """A value that stands in an environment variable: ``{env: EXPORT_HOOK}``."""

    env: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", examples=["EXPORT_HOOK"])
    """The variable's name; it begins with `EXPORT_` or is listed under `environment` in `stores.yaml`."""

    @model_validator(mode="before")
    @classmethod
    def _never_itself(cls, value: Any) -> Any:
        """Refuse a secret that stands in the export, without showing it."""
        if isinstance(value, (Secret, Mapping)):
            return value
        raise ValueError(f"a secret is not written here: name the variable that holds it, {{env: {PREFIX}...}}")

    def resolve(self, environment: Collection[str] = ()) -> SecretStr:
        """Return the value; it prints as stars, and `get_secret_value` is for the call that needs it.

        `environment` lists the variables that may be read beside those with the prefix. Raises `ConfigError` for a
        variable that may not be read, whether it is set or not, and for one that is not set or empty.
        """
        if not allowed(self.env, environment):
            raise ConfigError(
                f"the environment variable {self.env!r} may not be read ({did_you_mean(self.env, environment)})",
                cure=f"List it under environment: in stores.yaml, or use a name that begins with {PREFIX}.",
            )
        value = os.environ.get(self.env, "")
        if not value:
            raise ConfigError(
                f"the environment variable {self.env} is not set",
                cure=f"Set it where exports run: export {self.env}=... (while export-pipeline up runs, they run there: "
                "set it there, and start it anew).",
            )
        return SecretStr(value)


def _own(secret: Secret) -> Secret:
    if not allowed(secret.env):
        raise ValueError(f"the variable {secret.env} may not be read here; use one that begins with {PREFIX}")
    return secret


OwnSecret = Annotated[Secret, AfterValidator(_own)]
"""A secret of an export itself, where no list of other variables is at hand: its name begins with the `PREFIX`."""


def redact(text: str, secrets: Iterable[SecretStr]) -> str:
    """Return a text, such as a foreign error's, without these secrets, plain or as they stand in a URL."""
    plain = {secret.get_secret_value() for secret in secrets}
    spelled = plain | {quote(value, safe="") for value in plain} | {quote(value) for value in plain}
    for value in sorted(spelled - {""}, key=len, reverse=True):
        text = re.sub(re.escape(value), HIDDEN, text)
    return text
