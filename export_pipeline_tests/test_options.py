"""The base of every model: tagged unions, short forms, spellings, errors, JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from export_pipeline.options import OneOf, Options, members_of


class Comma(Options):
    """Text with commas."""

    tag: ClassVar[str] = "comma"
    delimiter: str = ","
    """Character between two fields."""
    row_group_size: int = 5


class Plain(Options):
    """Nothing to choose."""

    tag: ClassVar[str] = "plain"


class Total(Options):
    tag: ClassVar[str] = "total"
    short: ClassVar[str | None] = "field"
    field: str
    scale: int = 1


class Every(Options):
    tag: ClassVar[str] = "every"
    whole: ClassVar[str | None] = "items"
    items: list[AnyNode]


class Never(Options):
    tag: ClassVar[str] = "never"
    whole: ClassVar[str | None] = "item"
    item: AnyNode


AnyNode = Annotated[Every | Never | Total, OneOf("node")]
Every.model_rebuild()
Never.model_rebuild()
AnyShape = Annotated[Comma | Plain, OneOf("shape")]


class Holder(Options):
    also: ClassVar[dict[str, str]] = {"kind": "shape"}
    shape: AnyShape = Field(default_factory=Comma)
    node: AnyNode | None = None


def refused(data: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate(data)
    return str(caught.value.errors(include_url=False)[0]["msg"])


@pytest.mark.parametrize(
    ("written", "shape"),
    [
        ("comma", Comma()),
        ({"comma": None}, Comma()),
        ({"comma": {}}, Comma()),
        ({"comma": {"delimiter": ";"}}, Comma(delimiter=";")),
        ({"comma": {"rowGroupSize": 7}}, Comma(row_group_size=7)),
        ("plain", Plain()),
        (Plain(), Plain()),
    ],
)
def test_a_choice_is_written_by_its_tag(written: Any, shape: Options) -> None:
    assert Holder.model_validate({"shape": written}).shape == shape


def test_whole_and_short_bodies_nest_and_come_back_as_they_were_written() -> None:
    written = {"node": {"every": [{"never": {"total": "a"}}, {"total": {"field": "b", "scale": 2}}]}}
    holder = Holder.model_validate(written)
    assert holder.node == Every(items=[Never(item=Total(field="a")), Total(field="b", scale=2)])
    assert holder.dump() == written
    assert Holder.model_validate(holder.dump(defaults=True)) == holder


def test_other_spellings_of_an_option_are_accepted_once() -> None:
    assert Holder.model_validate({"kind": "plain"}).shape == Plain()
    assert "given twice" in refused({"kind": "plain", "shape": "plain"})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"shape": "coma"}, "unknown shape 'coma' (did you mean 'comma'?)"),
        ({"shape": {"comma": {"delimeter": ";"}}}, "unknown option 'delimeter' (did you mean 'delimiter'?)"),
        ({"shape": {"comma": {}, "plain": {}}}, "exactly one of comma, plain, not with the keys comma, plain"),
        ({"shape": 5}, "exactly one of comma, plain, not with 5"),
        ({"node": {"every": None}}, "'every' needs a value"),
        ({"nod": 1}, "unknown option 'nod' (did you mean 'node'?)"),
    ],
)
def test_errors_name_the_value_and_the_nearest_valid_one(data: Any, says: str) -> None:
    assert says in refused(data)


def test_options_are_frozen_and_replace_validates() -> None:
    comma = Comma(delimiter=";")
    with pytest.raises(ValidationError):
        comma.delimiter = ","  # type: ignore[misc]
    assert comma.replace(row_group_size=9) == Comma(delimiter=";", row_group_size=9)
    with pytest.raises(ValidationError):
        comma.replace(row_group_size="many")


def test_the_union_is_the_registry() -> None:
    assert members_of(AnyShape) == {"comma": Comma, "plain": Plain}


def test_the_json_schema_knows_each_form_its_default_and_its_words() -> None:
    schema = Holder.model_json_schema()
    shape = schema["properties"]["shape"]
    assert shape["default"] == "comma"
    assert shape["anyOf"][0] == {"type": "string", "enum": ["comma", "plain"]}
    comma = schema["$defs"]["Comma"] if "Comma" in schema.get("$defs", {}) else shape["anyOf"][1]
    assert "Character between two fields." in str(comma)
    forms = schema["$defs"]["Total"]["anyOf"]
    assert forms[0]["type"] == "string"
    assert forms[1]["required"] == ["field"]
    assert schema["$defs"]["Every"]["type"] == "array"


def test_a_union_of_one_is_still_written_by_its_tag() -> None:
    adapter: TypeAdapter[Plain] = TypeAdapter(Annotated[Plain, OneOf("shape")])
    assert adapter.validate_python("plain") == Plain()
    assert adapter.dump_python(Plain()) == {"plain": {}}
