from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from export_pipeline.defs.instance import open_instance, prepare, settings
from export_pipeline.home import Home
from export_pipeline.instance import Instance, NobodyListensError, claimed, is_claimed
from export_pipeline_tests.servers import free_port

ROOT = Path(__file__).parent.parent


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").create()


def _parts(text: str) -> dict[str, str]:
    """Return the top-level keys of a YAML text and the lines of each, comments included."""
    pieces = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
    return {piece.split(":")[0]: re.sub(r"\s*\n(#.*\n?|\s*\n)*\Z", "\n", piece) for piece in pieces}


def test_the_settings_are_those_of_a_clone() -> None:
    """All of dagster.yaml of the repository but the place of its files."""
    clone, own = (ROOT / "dagster.yaml").read_text(), settings()
    places = {"storage", "local_artifact_storage", "compute_logs"}
    theirs = {key: value for key, value in yaml.safe_load(clone).items() if key not in places}
    assert yaml.safe_load(own) == theirs
    assert {key: text for key, text in _parts(clone).items() if key not in places} == _parts(own)


def test_telemetry_is_off(home: Home) -> None:
    assert yaml.safe_load(settings())["telemetry"] == {"enabled": False}
    with open_instance(home) as instance:
        assert not instance.telemetry_enabled


def test_own_settings_stay(home: Home) -> None:
    prepare(home)
    path = home.dagster / "dagster.yaml"
    assert path.read_text() == settings()
    path.write_text("telemetry: {enabled: false}\n")
    prepare(home)
    assert path.read_text() == "telemetry: {enabled: false}\n"


def test_many_may_open_a_new_history_at_once(home: Home) -> None:
    script = (
        "import sys\nfrom export_pipeline.home import Home\nfrom export_pipeline.defs.instance import open_instance\n"
        "with open_instance(Home.find(sys.argv[1])) as dagster:\n    print(dagster.get_runs_count())"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(home.root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    ended = [(*process.communicate(), process.returncode) for process in started]
    assert [(out, code) for out, _, code in ended] == [(b"0\n", 0)] * 3, ended


def test_one_up_per_home(home: Home) -> None:
    assert not is_claimed(home)
    with claimed(home) as mine:
        assert mine
        assert is_claimed(home)
        with claimed(home) as second:
            assert not second
        assert is_claimed(home)
    assert not is_claimed(home)


def test_a_claim_ends_with_its_process(home: Home) -> None:
    script = (
        "import os, sys\nfrom export_pipeline.home import Home\nfrom export_pipeline.instance import claimed\n"
        "with claimed(Home.find(sys.argv[1])) as mine:\n    print(mine, flush=True)\n    sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(home.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "True\n"
    assert is_claimed(home)
    other.kill()
    other.communicate()
    assert not is_claimed(home)


def test_find(home: Home) -> None:
    here = Instance(f"http://127.0.0.1:{free_port()}", os.getpid())
    assert Instance.announced(home) is None
    path = here.announce(home)
    assert json.loads(path.read_text()) == {"url": here.url, "pid": here.pid}
    assert Instance.announced(home) == here
    assert Instance.find(home) is None  # nobody is up, whatever the file says
    with claimed(home):
        assert Instance.find(home) is None  # nobody answers
    path.write_text("{half")
    assert Instance.announced(home) is None


def test_no_answer() -> None:
    instance = Instance(f"http://127.0.0.1:{free_port()}", 1)
    with pytest.raises(NobodyListensError, match=f"the Dagster instance at {instance.url} does not answer") as error:
        instance.jobs()
    assert "export-pipeline up" in (error.value.cure or "")


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    from export_pipeline.instance import _client

    _client.cache_clear()
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    assert _client().trust_env is False
