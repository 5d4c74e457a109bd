"""One file of an export: its format, what it is called and where it goes."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from export_pipeline.destinations import AnyDestination, Local
from export_pipeline.formats import AnyFormat, Csv
from export_pipeline.lists import listed
from export_pipeline.names import DEFAULT_FILE_NAME, check_file_name
from export_pipeline.options import SHORT, Options

NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,78}[a-z0-9])?")
FileName = Annotated[str, BeforeValidator(check_file_name)]
Deliver = Annotated[
    list[AnyDestination],
    BeforeValidator(listed, json_schema_input_type=Annotated[AnyDestination, SHORT] | list[AnyDestination]),
    Field(min_length=1),
]


def checked_name(name: str, what: str) -> str:
    """Return a name that may be a file's, a job's and a folder's; raises ValueError for any other."""
    if name and not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for {what}: use lower-case letters, digits, '-' and '_'")
    return name


class Output(Options):
    """One file of an export; several outputs are made from one snapshot."""

    name: str = ""
    """What the output is called in receipts; the format's tag where it is not given."""
    format: AnyFormat = Field(default_factory=Csv, validate_default=True)
    """Format of the file."""
    file_name: FileName = DEFAULT_FILE_NAME
    """Template of the file's name; dates in moment.js syntax. The extension follows the format."""
    deliver: Deliver = Field(default_factory=lambda: [Local()])
    """Where the file goes; each destination gets the same verified bytes."""

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        return checked_name(name, "an output")

    @property
    def label(self) -> str:
        """The output's own name, else its format's tag."""
        return self.name or self.format.tag
