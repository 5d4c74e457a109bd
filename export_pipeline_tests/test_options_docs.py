"""The documentation of options: what pydantic reads when a class is made is what is read here when it is asked for."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from export_pipeline.options import Options
from export_pipeline.options.docs import documented


class Told(Options):
    """A model."""

    a: int = 1
    """One,
    on two lines."""
    b: int = 2
    c: int = 3
    """Three."""


class More(Told):
    """One that has another."""

    c: int = 4
    d: int = 5
    """Five."""


class Eager(BaseModel):
    """What pydantic says of the same."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    a: int = 1
    """One,
    on two lines."""
    b: int = 2
    c: int = 3
    """Three."""


def test_each_field_has_the_text_below_it() -> None:
    assert documented(Told) == {"a": "One,\non two lines.", "c": "Three."}
    said = {name: info.description for name, info in Eager.model_fields.items() if info.description}
    assert documented(Told) == said


def test_what_is_annotated_anew_has_its_own_text() -> None:
    assert documented(More) == {"a": "One,\non two lines.", "d": "Five."}


def test_the_schema_tells_it() -> None:
    shown = More.model_json_schema()["properties"]
    assert {name: option.get("description") for name, option in shown.items()} == {
        "a": "One,\non two lines.", "b": None, "c": None, "d": "Five.",
    }  # fmt: skip


def test_classes_in_functions() -> None:
    class Inner(Options):
        """A model."""

        a: int = 1
        """One."""

    assert documented(Inner) == {"a": "One."}
    assert Inner.model_json_schema()["properties"]["a"]["description"] == "One."


def test_every_option_of_the_product_is_documented() -> None:
    def all_of(model: type[Options]) -> list[type[Options]]:
        return [model, *(one for inner in model.__subclasses__() for one in all_of(inner))]

    ours = [m for m in all_of(Options) if m.__module__.startswith("export_pipeline.") and not m.__subclasses__()]
    assert len(ours) > 100
    missing = [f"{m.__qualname__}.{name}" for m in ours for name in m.model_fields if name not in documented(m)]
    assert missing == []
