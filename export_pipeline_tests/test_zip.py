"""Zip files: read by programs that did not write them; passwords that are right, wrong, missing and never shown."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
import pyzipper

from export_pipeline.compression import Zip
from export_pipeline.errors import ConfigError
from export_pipeline.secrets import Secret
from export_pipeline.zips.aes import Cipher
from export_pipeline.zips.package import Package

DATA = b"".join(b"%d,agent-%d,deploy\r\n" % (n, n * 7919 % 211) for n in range(120_000))
WORD = "pass-w0rd and more"
LOCKED = Zip(password=Secret(env="EXPORT_TEST_ZIP"))


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_TEST_ZIP", WORD)


def made(codec: Zip, folder: Path, name: str = "report.csv.zip") -> Path:
    path = folder / name
    with path.open("wb") as file, codec.named(f"below/{name}").compressing(file) as stage:
        for start in range(0, len(DATA), 300_000):
            stage.write(DATA[start : start + 300_000])
    return path


def seven(path: Path, word: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["7zz", "x", "-so", f"-p{word}", str(path)], capture_output=True, check=False)


@pytest.mark.parametrize("codec", [Zip(), Zip(level=9), Zip(level=6, threads=3)], ids=str)
def test_a_plain_zip_opens_everywhere(codec: Zip, tmp_path: Path) -> None:
    path = made(codec, tmp_path)
    with zipfile.ZipFile(path) as file:
        (info,) = file.infolist()
        assert (info.filename, info.date_time, info.file_size) == ("report.csv", (1980, 1, 1, 0, 0, 0), len(DATA))
        assert file.testzip() is None
    assert subprocess.run(["unzip", "-p", path], capture_output=True, check=True).stdout == DATA
    assert seven(path, "").stdout == DATA


@pytest.mark.parametrize("level", [1, 2, 9])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_password_opens_it_in_other_programs_and_no_other_does(level: int, threads: int, tmp_path: Path) -> None:
    path = made(LOCKED.replace(level=level, threads=threads), tmp_path)
    assert seven(path, WORD).stdout == DATA
    wrong = seven(path, "wrong")
    assert wrong.returncode != 0
    assert DATA[:100] not in wrong.stdout
    with pyzipper.AESZipFile(path) as file:
        (info,) = file.infolist()
        assert (info.filename, info.CRC, info.wz_aes_version) == ("report.csv", 0, 2)
        file.setpassword(WORD.encode())
        assert file.read("report.csv") == DATA
    assert b"agent" not in path.read_bytes()
    assert WORD.encode() not in path.read_bytes()


def test_the_same_bytes_are_never_the_same_file(tmp_path: Path) -> None:
    assert made(LOCKED, tmp_path, "a.csv.zip").read_bytes() != made(LOCKED, tmp_path, "a.csv.ZIP").read_bytes()
    assert made(Zip(), tmp_path).read_bytes() == made(Zip(), tmp_path).read_bytes()


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.9, 0.9999])
def test_a_cut_file_is_an_error(kept: float, tmp_path: Path) -> None:
    path = made(LOCKED, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(OSError, match="report"):
        LOCKED.decompressing(path).read()


def test_a_changed_byte_is_an_error(tmp_path: Path) -> None:
    for codec in (Zip(), LOCKED):
        path = made(codec, tmp_path)
        whole = bytearray(path.read_bytes())
        whole[len(whole) // 2] ^= 1
        path.write_bytes(whole)
        with pytest.raises(OSError, match="report"):
            codec.decompressing(path).read()


def test_a_wrong_password_and_another_kind_of_file_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="not encrypted"):
        LOCKED.decompressing(made(Zip(), tmp_path))
    path = made(LOCKED, tmp_path)
    with pytest.raises(OSError, match="it is encrypted"):
        Zip().decompressing(path)
    monkeypatch.setenv("EXPORT_TEST_ZIP", "another")
    with pytest.raises(OSError, match="does not open it") as error:
        LOCKED.decompressing(path)
    assert "another" not in str(error.value)


def test_two_files_inside_are_an_error(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as file:
        file.writestr("a", "1")
        file.writestr("b", "1")
    with pytest.raises(OSError, match="2 files"):
        Zip().decompressing(tmp_path / "two.zip")


@pytest.mark.parametrize("word", ["", "pass\n", "pässwort", "x" * 100])
def test_passwords_that_programs_disagree_about_are_refused_unseen(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_TEST_ZIP", word)
    with pytest.raises(ConfigError, match="EXPORT_TEST_ZIP") as error:
        LOCKED.ready()
    assert not word or word not in str(error.value)


def test_the_password_is_in_no_dump(tmp_path: Path) -> None:
    made(LOCKED, tmp_path)
    for text in (repr(LOCKED), str(LOCKED.dump()), LOCKED.model_dump_json()):
        assert WORD not in text
        assert "EXPORT_TEST_ZIP" in text


def test_without_its_library_a_password_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def find(name: str, *more: Any) -> Any:
        return None if name == "pyzipper" else found(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    Zip().ready()
    with pytest.raises(ConfigError, match=r'password needs pyzipper\n.*pip install "export_pipeline\[zip\]"'):
        LOCKED.ready()


@pytest.mark.parametrize("cipher", [None, Cipher(b"x")], ids=["plain", "encrypted"])
def test_zip64_is_read(cipher: Cipher | None) -> None:
    target = io.BytesIO()
    package = Package(target, limit=10)  # as if 10 bytes were 4 GiB
    package.begin("a", cipher)
    package.put(DATA)
    package.end()
    package.close()
    with pyzipper.AESZipFile(target) as file:
        file.setpassword(b"x")
        assert file.infolist()[0].extract_version >= 45
        assert file.read("a") == DATA
