"""What stages hand to one another: small JSON documents in the run's folder; rows never pass through Dagster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
from pydantic import ValidationError

from export_pipeline import files
from export_pipeline.errors import ExportError
from export_pipeline.home import Home
from export_pipeline.options import Options
from export_pipeline.staging import RETENTION, Staging


class StageResults(dg.IOManager):
    """Keeps the result of each stage as JSON; a run that goes on from a failed one reads what that one left."""

    def __init__(self, home: Home, results: Mapping[str, type[Options]]) -> None:
        """`results` says what each stage returns."""
        self._home, self._results = home, results

    def path(self, run_id: str, stage: str) -> Path:
        """Return the file of a stage's result."""
        return Staging(self._home.staging, run_id).folder / f"{stage}.json"

    def handle_output(self, context: dg.OutputContext, obj: Options) -> None:
        """Write the result, whole or not at all."""
        path = self.path(context.run_id, context.step_key)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, obj.model_dump_json(by_alias=True))

    def load_input(self, context: dg.InputContext) -> Options:
        """Read the result that the run, or the run it goes on from, left."""
        upstream = context.upstream_output
        if upstream is None:
            raise ExportError(f"the input {context.name!r} comes from no stage")
        stage, run_id = upstream.step_key, upstream.run_id
        try:
            return self._results[stage].model_validate_json(self.path(run_id, stage).read_bytes())
        except FileNotFoundError:
            cause = f"what the stage {stage!r} of run {run_id} left is gone: it is kept for {RETENTION.days} days"
        except ValidationError:
            cause = f"what the stage {stage!r} of run {run_id} left was written by another version of export_pipeline"
        cure = "Re-execute all steps of the run."
        raise dg.Failure(f"{cause}\n{cure}", {"cause": cause, "cure": cure}, allow_retries=False)
