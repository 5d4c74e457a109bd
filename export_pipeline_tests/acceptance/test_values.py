"""Values of delivered files beside an independent computation: DuckDB's SQL over the same rows, for random exports."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from export_pipeline.catalog import load_file
from export_pipeline.errors import ExportError
from export_pipeline.filters import kinds as product
from export_pipeline.filters.operators import OPERATORS
from export_pipeline.home import Home
from export_pipeline.parsing import parse_value
from export_pipeline.pipeline import Context, run
from export_pipeline.sources import AnySource, Stores
from export_pipeline_tests.acceptance.filters import Asker, Tree, leaves
from export_pipeline_tests.acceptance.reading import Row, differences, read
from export_pipeline_tests.acceptance.relations import Relation, build, reference
from export_pipeline_tests.acceptance.specs import MEASURES, STEPS, Author, Measure, Spec

SEED = 20130101
CONFIGS = 240
PARTS = 8
LEAST = 5
"""How often each operator is asked of each kind of column that it fits."""
NON_EMPTY = 0.8
SMALL = 2_000
"""Rows up to which a result becomes a workbook."""
FORMATS: tuple[Any, ...] = (
    "csv", "parquet", "json", "excel", {"json": {"layout": "lines"}}, {"csv": {"compression": "gzip"}},
    {"json": {"layout": "array"}}, {"parquet": {"compression": "snappy"}},
)  # fmt: skip
TURNS = ("flights", "commands", "flights", "live", "flights", "weather", "commands", "planes", "agents", "recent")


@dataclass
class World:
    """A home folder, what can be exported of it, the reference, and the exports to make."""

    home: Home
    relations: dict[str, Relation]
    reference: duckdb.DuckDBPyConnection
    specs: list[Spec]
    expected: list[list[Row]]

    def exported(self, spec: Spec) -> tuple[list[str], list[Row]]:
        """Write the export as YAML, run it, and read the delivered file."""
        path = self.home.exports / "case.yaml"
        path.write_text(yaml.safe_dump(spec.config, allow_unicode=True, sort_keys=False), "utf-8")
        context = Context(self.home, redeliver=str(uuid.uuid4()))  # shrinking runs the same export again
        result = run(load_file(path), context, logical_time=spec.relation.logical_time)
        (receipt,) = next(iter(result.delivered.receipts.values()))
        kinds = [value.kind for _, value in spec.chosen]
        zones = [spec.relation.zone if value.name == "step" else "UTC" for _, value in spec.chosen]
        names, rows = read(Path(receipt.place), kinds, zones)
        if receipt.place.endswith(".xlsx"):  # the reader leaves out empty rows at the end
            rows += [(None,) * len(kinds)] * (result.written.rows - len(rows))
        assert result.written.rows == len(rows)
        Path(receipt.place).unlink()
        return names, rows

    def problem(self, spec: Spec, theirs: list[Row] | None = None) -> str:
        """Return what is wrong with the file of an export, empty if nothing is."""
        try:
            names, ours = self.exported(spec)
        except ExportError as error:
            return f"{type(error).__name__}: {error}"
        if names != [name for name, _ in spec.chosen] and ours:
            return f"columns {names}, not {[name for name, _ in spec.chosen]}"
        theirs = self.reference.execute(spec.sql).fetchall() if theirs is None else theirs
        return differences(ours, theirs, [value.kind for _, value in spec.chosen])

    def shrunk(self, spec: Spec) -> Spec:
        """Return the smallest export that still fails in the same way: with wrong rows, or with the same error."""

        def kind(problem: str) -> str:
            name = problem.partition(":")[0]
            return name if name.endswith("Error") else "wrong" * bool(problem)

        wanted = kind(self.problem(spec))
        while True:
            for less in spec.smaller():
                try:
                    found = less != spec and kind(self.problem(less)) == wanted
                except (duckdb.Error, KeyError):
                    continue  # what was left out was needed
                if found:
                    spec = less
                    break
            else:
                return spec


def make(relations: dict[str, Relation], known: duckdb.DuckDBPyConnection) -> Iterator[tuple[Spec, list[Row]]]:
    """Yield random exports and their rows; most filters that keep no row are made again."""
    dice = random.Random(SEED)
    author = Author(dice, Asker(dice))
    for number in range(CONFIGS):
        relation, format_ = relations[TURNS[number % len(TURNS)]], FORMATS[number % len(FORMATS)]
        for again in range(12):
            spec = author.spec(relation, format_)
            if again > 5 and isinstance(spec.filter, Tree):
                spec = replace(spec, filter=Tree("or", spec.filter.parts))
            rows = known.execute(spec.sql).fetchall()
            if rows or dice.random() < 0.1:
                break
        author.count(spec, leaves(spec.filter))
        yield (replace(spec, format="parquet") if format_ == "excel" and len(rows) > SMALL else spec), rows


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = Home(tmp_path_factory.mktemp("values")).create()
    relations = build(home.root)
    with reference(relations.values()) as known:
        made = list(make(relations, known))
        yield World(home, relations, known, [spec for spec, _ in made], [rows for _, rows in made])


@pytest.mark.parametrize("part", range(PARTS))
def test_files_hold_what_the_reference_computes(world: World, part: int) -> None:
    for spec, theirs in list(zip(world.specs, world.expected, strict=True))[part::PARTS]:
        if world.problem(spec, theirs):
            least = world.shrunk(spec)
            text = yaml.safe_dump(least.config, allow_unicode=True, sort_keys=False)
            pytest.fail(f"{world.problem(least)}\n{text}# at {least.relation.logical_time}\n{least.sql}", pytrace=False)


def test_most_results_have_rows(world: World) -> None:
    full = sum(bool(rows) for rows in world.expected)
    assert len(world.specs) >= 200
    assert full / len(world.specs) >= NON_EMPTY


def test_each_operator_is_asked_of_each_kind_of_column(world: World) -> None:
    asked = Counter(leaf.asks for spec in world.specs for leaf in leaves(spec.filter))
    kinds = [kind for kind in (*product.KINDS, product.OTHER) if kind is not product.NOTHING]
    wanted = {
        (kind.name, row.key)
        for kind in kinds
        for row in OPERATORS.values()
        if not row.needs or row.needs in kind.traits
    }
    assert len(wanted) > 100
    assert {pair: asked[pair] for pair in wanted if asked[pair] < LEAST} == {}
    assert all(asked["role", role] >= LEAST for role in ("time_range", "agent_ids", "command_types", "status"))


def test_each_measure_and_step_is_used(world: World) -> None:
    measured = Counter(measure.tag for spec in world.specs for measure in spec.measures)
    steps = Counter(spec.step[1] for spec in world.specs if spec.step is not None)
    assert all(measured[tag] >= LEAST for tag in MEASURES), measured
    assert all(steps[step] >= LEAST for step in STEPS), steps


def test_columns_are_of_the_kinds_that_the_counts_name(world: World) -> None:
    stores = Stores.load(world.home.stores)
    for relation in world.relations.values():
        source = parse_value(AnySource, relation.source)
        with source.open(stores, [world.home.root], folder=world.home.root) as opened:
            found = {name: product.kind_of(dtype).name for name, dtype in opened.schema.items()}
        assert found == {name: column.kind for name, column in relation.columns.items()}, relation.name


def test_a_wrong_value_is_found_and_shrunk(world: World) -> None:
    """The comparison itself: a reference that is wrong in one measure is noticed, and only that measure is left."""
    spec = next(s for s in world.specs if len(s.measures) > 2 and s.filter is not None and not s.limit)
    wrong = Measure("off", "count(*) + 1", "whole numbers", "count", "rows")
    least = world.shrunk(replace(spec, measures=(*spec.measures, wrong)))
    assert least.measures == (wrong,)
    assert (least.filter, least.keys, least.step, least.limit) == (None, (), None, None)
