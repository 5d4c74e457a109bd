from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from export_pipeline import trust
from export_pipeline.errors import StorageError
from export_pipeline.home import Home


def test_a_proof_holds_for_its_run_its_folder_and_its_home_only(tmp_path: Path) -> None:
    home, other = Home(tmp_path / "a").create(), Home(tmp_path / "b").create()
    proof = trust.sign(home, "run-1", Path("/data"))
    assert trust.proven(home, proof, "run-1", Path("/data"))
    assert not trust.proven(home, proof, "run-2", Path("/data"))
    assert not trust.proven(home, proof, "run-1", Path("/"))
    assert not trust.proven(home, proof, "run-1")
    assert not trust.proven(other, proof, "run-1", Path("/data"))
    assert not trust.proven(home, "é", "run-1")


def test_the_key_is_for_its_owner_only_and_stays(tmp_path: Path) -> None:
    home = Home(tmp_path).create()
    with ThreadPoolExecutor(8) as pool:
        proofs = set(pool.map(lambda _: trust.sign(home, "run"), range(32)))
    assert len(proofs) == 1
    assert stat.S_IMODE((tmp_path / trust.KEY).stat().st_mode) == 0o600
    assert not list(tmp_path.glob("*.part"))


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"\.key cannot be written"):
        trust.sign(Home(tmp_path / "nowhere"), "run")
