"""Seals: opened by gpg and by nobody else; nothing is sealed that is not what was verified."""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from export_pipeline.errors import Cancelled, ConfigError, FormatError, VerificationError
from export_pipeline.formats import AnyFormat, Format
from export_pipeline.formats.about import About
from export_pipeline.formats.pgp import Pump, Sieve
from export_pipeline.formats.sealing import Pgp
from export_pipeline.options import members_of
from export_pipeline.verification import Artifact, verify
from export_pipeline_tests.gnupg import Gnupg, gnupg

FORMATS = {tag: cast("type[Format]", member) for tag, member in members_of(AnyFormat).items()}
ROWS = pl.DataFrame({"n": range(40_000), "t": [f"row {n * 7919}" for n in range(40_000)]}).lazy()


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gnupg]:
    with gnupg() as made:
        yield made


@pytest.fixture(scope="module")
def keys(gpg: Gnupg, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ann", "bob"):
        gpg.key(f"{name}@example.com", folder / f"{name}.asc", kind="future-default")
    gpg.key("signer@example.com", folder / "signer.asc", kind="ed25519", usage="sign")
    (folder / "both.gpg").write_bytes(gpg.run("--export", "ann@example.com", "bob@example.com"))
    (folder / "secret.asc").write_bytes(gpg.run("--armor", "--export-secret-keys", "ann@example.com"))
    (folder / "words.asc").write_text("no key")
    long_ago = ("--faked-system-time", "20200101T000000")
    gpg.run(*long_ago, "--quick-generate-key", "old@example.com", "future-default", "default", "2020-02-01")
    (folder / "old.asc").write_bytes(gpg.run("--armor", "--export", "old@example.com"))
    gpg.key("gone@example.com", folder / "gone.asc", kind="future-default")
    (certificate,) = (gpg.home / "openpgp-revocs.d").glob(f"{_fingerprint(gpg, 'gone@example.com')}.rev")
    (folder / "revoke.asc").write_text(certificate.read_text().replace(":-----BEGIN", "-----BEGIN"))
    gpg.run("--import", folder / "revoke.asc")
    (folder / "gone.asc").write_bytes(gpg.run("--armor", "--export", "gone@example.com"))
    return folder


def _fingerprint(gpg: Gnupg, name: str) -> str:
    listed = gpg.run("--with-colons", "--fingerprint", name).decode().splitlines()
    return next(line for line in listed if line.startswith("fpr")).split(":")[9]


def plain(form: Format, folder: Path) -> Artifact:
    artifact = form.write(ROWS, folder / f"file{form.suffix}", name=f"report{form.full_suffix}")
    verify(artifact, form)
    return artifact


@pytest.mark.parametrize("tag", FORMATS)
def test_every_format_is_sealed_and_gpg_opens_it(tag: str, gpg: Gnupg, keys: Path, tmp_path: Path) -> None:
    form = FORMATS[tag].model_validate({"seal": {"pgp": ["ann.asc", "bob.asc"]}})
    assert form.full_suffix == f"{form.suffix}.pgp"
    assert form.confidential
    artifact = plain(form, tmp_path)
    assert form.seal is not None
    sealed = form.seal.apply(artifact, About(folder=keys))
    data = sealed.path.read_bytes()
    assert (sealed.bytes, sealed.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert sealed.media_type == "application/pgp-encrypted"
    assert (sealed.rows, sealed.checksums, sealed.name) == (artifact.rows, artifact.checksums, artifact.name)
    assert hashlib.sha256(gpg.opened(sealed.path)).hexdigest() == artifact.sha256
    # one packet for each of the two, none for the key that the message was tried with
    listed = gpg.run("--list-packets", sealed.path).decode()
    assert listed.count(":pubkey enc packet:") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({artifact.path.name, sealed.path.name})


def test_each_of_the_keys_of_a_file_opens_it_and_no_other(gpg: Gnupg, keys: Path, tmp_path: Path) -> None:
    artifact = plain(FORMATS["csv"](), tmp_path)
    sealed = Pgp.model_validate({"recipients": "both.gpg"}).apply(artifact, About(folder=keys))
    for name in ("ann", "bob"):
        with gnupg() as alone:
            with pytest.raises(Exception, match="exit status 2"):
                alone.opened(sealed.path)
            secret = tmp_path / "secret"
            secret.write_bytes(gpg.run("--export-secret-keys", f"{name}@example.com"))
            alone.run("--import", secret)
            assert alone.opened(sealed.path) == artifact.path.read_bytes()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("none.asc", "cannot be read: No such file"),
        ("words.asc", "holds no PGP key"),
        ("secret.asc", "holds a private key.*\n.*NAME > public.asc"),
        ("signer.asc", r"signer@example.com\): No suitable encryption subkey"),
        ("old.asc", r"old@example.com\): .*ended 2020-02-01"),
        ("gone.asc", r"gone@example.com\): it is revoked"),
        ("../elsewhere.asc", "outside of the folders"),
    ],
)
def test_keys_that_nothing_can_be_sealed_for_are_refused(file: str, said: str, keys: Path) -> None:
    form = FORMATS["excel"].model_validate({"seal": {"pgp": ["ann.asc", file]}})
    with pytest.raises(ConfigError, match=said):
        form.ready(pl.Schema(), About(folder=keys, roots=(keys,)))


def test_without_its_library_a_seal_is_refused(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def find(name: str, *more: Any) -> Any:
        return None if name == "pysequoia" else found(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    with pytest.raises(ConfigError, match=r'pgp needs pysequoia\n.*pip install "export_pipeline\[pgp\]"'):
        Pgp(recipients=["ann.asc"]).ready(About(folder=keys))


def test_a_file_that_changed_since_it_was_verified_is_not_sealed(keys: Path, tmp_path: Path) -> None:
    artifact = plain(FORMATS["csv"](), tmp_path)
    data = bytearray(artifact.path.read_bytes())
    data[1000] ^= 1
    artifact.path.write_bytes(data)
    with pytest.raises(VerificationError, match="is not the file that was verified"):
        Pgp(recipients=["ann.asc"]).apply(artifact, About(folder=keys))
    assert [path.name for path in tmp_path.iterdir()] == [artifact.path.name]


def test_a_stop_leaves_nothing(keys: Path, tmp_path: Path) -> None:
    artifact = plain(FORMATS["csv"](), tmp_path)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        Pgp(recipients=["ann.asc"]).apply(artifact, About(folder=keys), stop=stop)
    assert [path.name for path in tmp_path.iterdir()] == [artifact.path.name]


def test_a_process_says_why_it_failed() -> None:
    with Pump("decrypt", b"no key") as pump:
        pump.write(b"x" * 1_000_000)
        assert list(pump.output()) == []
        with pytest.raises(FormatError, match=r"cannot decrypt: \w+"):
            pump.finish()


def test_a_message_without_the_packet_of_the_key_is_refused() -> None:
    sieve = Sieve(b"12345678")
    assert list(sieve.put(b"\xd2\x0a0123456789")) == [b"\xd2\x0a0123456789"]
    with pytest.raises(FormatError, match="packets"):
        sieve.finish()


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_a_packet_is_left_out_however_the_message_is_cut(piece: int) -> None:
    mine = b"\xc1\x0c\x03MYKEYIDSxyz"
    other = b"\xc1\x0c\x03OTHERIDSxyz"
    rest = b"\xd2\x05hello" * 20
    message, sieve = other + mine + other + rest, Sieve(b"MYKEYIDS")
    kept = b"".join(b"".join(sieve.put(message[at : at + piece])) for at in range(0, len(message), piece))
    sieve.finish()
    assert kept == other + other + rest
