"""Exports on disk: found, shown as broken, saved with their comments, deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from export_pipeline.catalog import Catalog
from export_pipeline.errors import ConfigError, NotFoundError
from export_pipeline.home import Home

GOOD = "# what finance gets\nversion: 1\nsource: {files: sales.csv}   # every row\nlimit: 5\n"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    home = Home(tmp_path).create()
    (home.exports / "sales.yaml").write_text(GOOD)
    (home.exports / "broken.yaml").write_text("source: {files: a.csv}\nformat:\n  csv: {delimeter: x}\n")
    (home.exports / ".hidden.yaml").write_text("nonsense: [")
    (home.exports / "notes.txt").write_text("no export")
    return Catalog(home)


def test_a_broken_file_is_shown_by_name_and_line_and_the_others_load(catalog: Catalog) -> None:
    broken, sales = catalog.entries()
    assert (broken.name, sales.name) == ("broken", "sales")
    assert broken.config is None
    assert "broken.yaml, line 3: format.csv: unknown option 'delimeter'" in str(broken.problem)
    assert sales.config is not None
    assert sales.config.limit == 5


def test_the_file_s_own_name_is_the_export_s_unless_it_says_so(catalog: Catalog) -> None:
    (catalog.home.exports / "other.yaml").write_text("name: costs\nsource: {files: a.csv}\n")
    assert catalog.load("costs").name == "costs"


def test_two_files_of_one_name_do_not_hide_each_other(catalog: Catalog) -> None:
    (catalog.home.exports / "zzz.yaml").write_text("name: sales\nsource: {files: a.csv}\n")
    problem = next(entry.problem for entry in catalog.entries() if entry.path.name == "zzz.yaml")
    assert "the name 'sales' is taken by sales.yaml" in str(problem)
    assert catalog.load("sales").limit == 5


def test_a_wrong_name_is_answered_with_the_nearest(catalog: Catalog) -> None:
    with pytest.raises(NotFoundError, match=r"did you mean 'sales'\?"):
        catalog.load("sale")
    with pytest.raises(ConfigError, match="delimeter"):
        catalog.load("broken")


def test_saving_keeps_comments_and_changes_only_what_changed(catalog: Catalog) -> None:
    path = catalog.save(catalog.load("sales").replace(limit=7))
    text = path.read_text()
    assert "# what finance gets" in text
    assert "# every row" in text
    assert "limit: 7" in text
    assert catalog.load("sales").limit == 7


def test_a_new_export_gets_a_file_and_loses_it_again(catalog: Catalog) -> None:
    made = catalog.load("sales").replace(name="copy")
    path = catalog.save(made)
    assert path.name == "copy.yaml"
    assert catalog.load("copy") == made
    catalog.delete("copy")
    assert not path.exists()


def test_an_export_without_a_name_is_not_saved(catalog: Catalog) -> None:
    with pytest.raises(ConfigError, match="needs a name"):
        catalog.save(catalog.load("sales").replace(name=""))
