"""The folder of a run: held while it lives, swept when it is over."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from export_pipeline.staging import Staging, sweep

HOLD = """
import sys, time
from pathlib import Path
from export_pipeline.staging import Staging
with Staging(Path(sys.argv[1]), "other").held():
    print("held", flush=True)
    time.sleep(60)
"""
NOW = timedelta(0)


def test_what_is_held_is_not_swept_and_what_is_left_is(tmp_path: Path) -> None:
    mine = Staging(tmp_path, "mine")
    with mine.held() as folder:
        (folder / "rows.parquet").write_bytes(b"x")
        assert sweep(tmp_path, NOW) == []
    assert sweep(tmp_path) == []  # young: it may be taken up again
    assert sweep(tmp_path, NOW) == ["mine"]
    assert not mine.folder.exists()


def test_a_living_neighbour_keeps_its_folder_a_killed_one_loses_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert sweep(tmp_path, NOW) == []
        child.kill()
        child.wait()
        assert sweep(tmp_path, NOW) == ["other"]


def test_sweeping_nothing_is_fine(tmp_path: Path) -> None:
    assert sweep(tmp_path / "none") == []
