"""Secrets are read only where that is allowed, and show themselves nowhere."""

from __future__ import annotations

import pickle

import pytest
from pydantic import SecretStr, ValidationError

from export_pipeline.config import ExportConfig
from export_pipeline.errors import ConfigError
from export_pipeline.parsing import parse
from export_pipeline.secrets import Secret, redact

VALUE = "s3cret/value?x=1"


def test_a_secret_is_read_at_the_moment_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret(env="EXPORT_HOOK")
    monkeypatch.setenv("EXPORT_HOOK", VALUE)
    assert secret.resolve().get_secret_value() == VALUE
    monkeypatch.setenv("EXPORT_HOOK", "other")
    assert secret.resolve().get_secret_value() == "other"


def test_neither_the_reference_nor_the_value_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_HOOK", VALUE)
    secret = Secret(env="EXPORT_HOOK")
    value = secret.resolve()
    for shown in (repr(secret), str(secret), str(secret.dump()), repr(value), str(value), f"{value}"):
        assert VALUE not in shown
    assert VALUE.encode() not in pickle.dumps(secret)


def test_a_variable_must_be_listed_or_have_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS_HOOK", VALUE)
    assert Secret(env="OPS_HOOK").resolve(["OPS_HOOK"]).get_secret_value() == VALUE
    with pytest.raises(ConfigError) as caught:
        Secret(env="OPS_HOK").resolve(["OPS_HOOK"])
    assert "did you mean 'OPS_HOOK'?" in str(caught.value)
    with pytest.raises(ConfigError, match="may not be read") as set_error:
        Secret(env="OPS_HOOK").resolve()
    monkeypatch.delenv("OPS_HOOK")
    with pytest.raises(ConfigError) as unset_error:
        Secret(env="OPS_HOOK").resolve()
    assert str(set_error.value) == str(unset_error.value)  # nobody learns which variables exist


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_value_is_an_error_with_a_cure(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPORT_HOOK", raising=False)
    if value is not None:
        monkeypatch.setenv("EXPORT_HOOK", value)
    with pytest.raises(ConfigError, match="EXPORT_HOOK is not set") as caught:
        Secret(env="EXPORT_HOOK").resolve()
    assert caught.value.cure is not None
    assert "export EXPORT_HOOK=" in caught.value.cure
    assert "export-pipeline up" in caught.value.cure  # which does not see what is set in another terminal


@pytest.mark.parametrize("name", ["", "A B", "1A", "A=B", "${A}"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Secret(env=name)


def test_a_secret_that_is_written_out_is_refused_unseen() -> None:
    with pytest.raises(
        ConfigError, match=r"^format\.csv\.compression\.zip\.password: a secret is not written"
    ) as caught:
        parse(ExportConfig, {"name": "a", "format": {"csv": {"compression": {"zip": {"password": VALUE}}}}})
    assert VALUE not in str(caught.value)


def test_redact_finds_every_spelling() -> None:
    text = f"plain {VALUE}, quoted s3cret%2Fvalue%3Fx%3D1, half s3cret/value%3Fx%3D1"
    assert redact(text, [SecretStr(VALUE)]) == "plain ***, quoted ***, half ***"
    assert redact("nothing", [SecretStr("")]) == "nothing"
    assert redact("ab abc", [SecretStr("ab"), SecretStr("abc")]) == "*** ***"
