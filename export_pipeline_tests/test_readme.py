"""The README says what the models say."""

from __future__ import annotations

import re

from export_pipeline import yaml
from export_pipeline.config import ExportConfig
from export_pipeline.formats import AnyFormat
from export_pipeline.options import members_of
from export_pipeline.parsing import parse
from export_pipeline_tests import readme


def test_the_format_section_is_that_of_the_models() -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert readme.replaced(text) == text, "python -m export_pipeline_tests.readme writes it anew"


def test_each_option_has_a_row_and_says_what_it_does() -> None:
    section = readme.section()
    for model in members_of(AnyFormat).values():
        for name in (info.alias or field for field, info in model.model_fields.items()):
            rows = [row for row in section.splitlines() if row.startswith(f"| `{name}` |")]
            assert rows, name
            assert all(row.rstrip(" |").rpartition(" | ")[2] for row in rows), name


def test_each_example_is_a_right_export() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", readme.README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) > 1
    for example in examples:
        parse(ExportConfig, {"name": "example", **yaml.load(example).data})
