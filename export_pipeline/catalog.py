"""The exports on disk: one YAML file each, in the ``exports/`` folder of the home."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from export_pipeline import files, yaml
from export_pipeline.config import ExportConfig
from export_pipeline.errors import ConfigError, ExportError, NotFoundError, did_you_mean
from export_pipeline.home import Home
from export_pipeline.parsing import parse, read

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Entry:
    """A file of the exports folder: its export, or why it is none."""

    name: str
    path: Path
    config: ExportConfig | None = None
    problem: ExportError | None = None


def load_file(path: Path) -> ExportConfig:
    """Read one export file; raises `ConfigError` with the file's name, the line and the option."""
    document = read(path)
    if not isinstance(document.data, dict):
        raise ConfigError(f"{path.name} holds no export", cure="Begin with: source: {files: sales.csv}")
    return parse(ExportConfig, {"name": path.stem, **document.data}, name=path.name, document=document)


@dataclass(frozen=True)
class Catalog:
    """The exports of a home folder. A broken file is shown as broken; the others load."""

    home: Home

    def paths(self) -> list[Path]:
        """Return the export files, by name."""
        if not self.home.exports.is_dir():
            return []
        found = (path for path in self.home.exports.iterdir() if path.suffix in SUFFIXES and path.name[0] != ".")
        return sorted(found)

    def entries(self) -> list[Entry]:
        """Return every export, the broken ones with their problem; two files may not have one name."""
        entries: dict[str, Entry] = {}
        for path in self.paths():
            entry = self._entry(path)
            if entry.name in entries:
                other = entries[entry.name].path.name
                problem = ConfigError(f"{path.name}: the name {entry.name!r} is taken by {other}")
                entry = Entry(path.stem if path.stem not in entries else path.name, path, problem=problem)
            entries[entry.name] = entry
        return list(entries.values())

    def _entry(self, path: Path) -> Entry:
        try:
            config = load_file(path)
        except ExportError as problem:
            return Entry(path.stem, path, problem=problem)
        return Entry(config.name, path, config=config)

    def find(self, name: str) -> Entry:
        """Return the export of that name, or raise `NotFoundError` with the nearest name."""
        entries = {entry.name: entry for entry in self.entries()}
        if name not in entries:
            raise NotFoundError(
                f"there is no export {name!r} in {self.home.exports} ({did_you_mean(name, entries)})",
                cure="export-pipeline list shows them; export-pipeline init FILE writes one.",
            )
        return entries[name]

    def load(self, name: str) -> ExportConfig:
        """Return the export of that name; raises the problem of a broken one."""
        entry = self.find(name)
        if entry.config is None:
            raise entry.problem or ConfigError(f"{entry.path.name} holds no export")
        return entry.config

    def save(self, config: ExportConfig) -> Path:
        """Write an export in one step; a file that is there keeps its comments. Returns its path."""
        if not config.name:
            raise ConfigError("an export needs a name to be saved", cure="Give it one: name: my-export")
        known = {entry.name: entry.path for entry in self.entries()}
        path = known.get(config.name, self.home.exports / f"{config.name}.yaml")
        self.home.exports.mkdir(parents=True, exist_ok=True)
        data = config.written()
        files.write_text(path, yaml.rewrite(path.read_text("utf-8"), data) if path.exists() else yaml.dump(data))
        return path

    def delete(self, name: str) -> None:
        """Remove an export's file; its history stays."""
        self.find(name).path.unlink()
