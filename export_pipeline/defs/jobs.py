"""One job per export file, and the ad-hoc job `export` whose run config is a whole export.

The run config of a job is the export config itself. Launched with ``{}`` a job runs its file's values; what a launch
gives is merged over them (`export_pipeline.defs.merging`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from export_pipeline import labels
from export_pipeline.catalog import Entry
from export_pipeline.config import ExportConfig, normalised
from export_pipeline.defs.launchpad import config_type, with_values
from export_pipeline.defs.merging import merge
from export_pipeline.defs.ops import DEPENDENCIES, OPS
from export_pipeline.defs.plans import PLAN
from export_pipeline.errors import ConfigError, ExportError
from export_pipeline.parsing import parse, read

NOT_SHOWN = {"version", "name", "schedule"}
"""Options of a file that the launchpad does not show as values to change: they do not decide what one run does."""
STANDS_FOR: Mapping[str, tuple[str, ...]] = {
    "source": ("sources",),
    "sources": ("source",),
    "outputs": ("format", "file_name", "deliver"),
}
"""Option -> the file's options that it is given instead of."""

LEFT_OUT = """
What a launch leaves out is as in the file; `null` takes an option back to its default. Quote text that looks like
something else in the launchpad: `"22:00"`, `"no"`, `"00123"`.
"""


class InvalidExport(dg.DagsterError):
    """The export that a launch resolves to is wrong; nothing was launched."""


def resolve(file: ExportConfig | None, shown: Mapping[str, Any], launched: Mapping[str, Any]) -> dict[str, Any]:
    """Return the export, as plain data, that a launch stands for: its values merged over the file's.

    `shown` are the values that Dagster fills in where the launch says nothing; raises `ConfigError` for what is wrong.
    """
    given = {name: value for name, value in launched.items() if name not in shown or shown[name] != value}
    base = {} if file is None else file.dump()
    for name in given:
        for other in STANDS_FOR.get(name, ()):
            base.pop(other, None)
    data = {"name": labels.ADHOC} | merge(ExportConfig, base, normalised(given))
    labels.own_tags(parse(ExportConfig, data).tags)
    return data


def _config(file: ExportConfig | None, *spellings: Mapping[str, Any]) -> dg.ConfigMapping:
    """Return the run config of a job: a whole export, or, with a file, what is merged over it."""
    kind, shown = with_values(config_type(ExportConfig, partial=file is not None), *spellings)

    def launch(launched: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return _planned({"export": resolve(file, shown, launched)})
        except (ExportError, ValueError) as error:
            raise InvalidExport(str(error)) from None

    return dg.ConfigMapping(launch, kind)


def _planned(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"ops": {PLAN: {"config": dict(config)}}}


def _job(name: str, config: dg.ConfigMapping, description: str, **more: Any) -> dg.JobDefinition:
    graph = dg.GraphDefinition(name, node_defs=list(OPS), dependencies=dict(DEPENDENCIES))
    return graph.to_job(name, description=description, config=config, executor_def=dg.in_process_executor, **more)


def adhoc_job() -> dg.JobDefinition:
    """Return the job that runs whatever export its run config is."""
    text = "Runs the export that its run config is: the same text as a file of the exports folder."
    return _job(labels.ADHOC, _config(None), text)


def export_job(entry: Entry) -> dg.JobDefinition:
    """Return the job of an export file; that of a broken one says what is wrong and where, and fails with it."""
    name = labels.job_name(entry.name)
    if entry.config is None:
        return broken_job(name, entry.path.name, entry.problem or ConfigError(f"{entry.path.name} holds no export"))
    try:
        return _file_job(name, entry, entry.config)
    except (dg.DagsterError, ExportError) as error:
        return broken_job(name, entry.path.name, ConfigError(f"{entry.path.name}: {error}"))


def _file_job(name: str, entry: Entry, config: ExportConfig) -> dg.JobDefinition:
    about = [config.description or f"The export {config.name}.", f"File: `{entry.path.name}`."]
    if config.schedule is not None:
        about.append(f"Runs {config.schedule.sentence()} ({config.timezone}).")
    metadata = {"file": dg.MetadataValue.path(str(entry.path)), "export": dg.MetadataValue.json(config.dump())}
    return _job(
        name,
        _config(config, *_spellings(entry, config)),
        "\n\n".join([*about, LEFT_OUT.strip()]),
        tags=_tags(config),
        metadata=metadata,
    )


def _tags(config: ExportConfig) -> dict[str, str]:
    """Return the tags of every run, by which one finds it, and by which the queue limits runs."""
    tags = labels.own_tags(config.tags) | {labels.EXPORT: config.name}
    stores = [store for source in config.inputs.values() if (store := getattr(source, "store", None))]
    given = [config.deliver, *(output.deliver for output in config.outputs)]
    kinds = {destination.tag for destinations in given for destination in destinations} - {"local"}
    if stores:
        tags[labels.STORE] = stores[0]
    if len(kinds) == 1:
        tags[labels.DESTINATION] = kinds.pop()
    return tags


def _spellings(entry: Entry, config: ExportConfig) -> list[dict[str, Any]]:
    """Return the file's values as the launchpad may show them: as they are written, and in the usual spelling."""
    return [
        {name: value for name, value in values.items() if name not in NOT_SHOWN}
        for values in (read(entry.path).data, config.dump())
    ]


def broken_job(name: str, file: str, problem: ExportError) -> dg.JobDefinition:
    """Return the job that stands for a broken file: visible by name, it fails with the file's error.

    Only a run from before the file broke can be re-executed: it repeats its old plan.
    """
    told = {"problem": problem.message} | ({"cure": problem.cure} if problem.cure else {})
    config = dg.ConfigMapping(lambda _launched: _planned(told), config_type(ExportConfig, partial=True))
    lines = "\n\n".join(f"`{line.replace('`', chr(39))}`" for line in str(problem).splitlines())
    text = f"**`{file}` is broken.**\n\n{lines}\n\nMend the file and reload."
    return _job(name, config, text, tags={labels.BROKEN: "true"})
