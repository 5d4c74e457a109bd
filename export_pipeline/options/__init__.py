"""The base of every model, and the one way a choice between models is written.

A choice (*tagged union*) is written by its tag with exactly one key, in files, JSON and the launchpad alike::

    format: csv                      # every option at its default
    format: {csv: {delimiter: ";"}}
    filter: {not: {status: [failed]}}

What stands behind the tag is the *body* of the member. A member says in two class variables how short its body may be:
`whole` names the one field that the body *is* (``and: [...]``), `short` the field that a bare value stands for
(``{sum: cost_usd}`` for ``{sum: {field: cost_usd}}``).
"""

from export_pipeline.options.base import Options, spelled
from export_pipeline.options.choices import OneOf, choice, members_of
from export_pipeline.options.files import NamesFiles, placed
from export_pipeline.options.spellings import ALSO, NEEDED, SHORT, any_case, camel, snake

__all__ = [
    "ALSO",
    "NEEDED",
    "SHORT",
    "NamesFiles",
    "OneOf",
    "Options",
    "any_case",
    "camel",
    "choice",
    "members_of",
    "placed",
    "snake",
    "spelled",
]
