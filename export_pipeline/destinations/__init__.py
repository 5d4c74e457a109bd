"""Where finished files go. A destination is an option model with one method that sends; the union is the registry."""

from __future__ import annotations

from typing import Annotated

from export_pipeline.destinations.base import Deliverable, Destination, Receipt, Request, Sending
from export_pipeline.destinations.folders import deliver_folder
from export_pipeline.destinations.local import Local
from export_pipeline.destinations.manifests import deliver_manifest
from export_pipeline.options import OneOf

AnyDestination = Annotated[Local, OneOf("destination")]
"""Any destination, written by its tag: ``local: {folder: reports}``."""

__all__ = [
    "AnyDestination",
    "Deliverable",
    "Destination",
    "Local",
    "Receipt",
    "Request",
    "Sending",
    "deliver_folder",
    "deliver_manifest",
]
