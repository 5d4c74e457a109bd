"""What Dagster loads: the jobs, schedules and sensors of the home folder."""

from __future__ import annotations

from export_pipeline.defs.build import definitions
from export_pipeline.home import Home

defs = definitions(Home.find())
