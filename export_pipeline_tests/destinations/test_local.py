"""A folder on this machine: names that are taken, and links that lead away."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from export_pipeline.destinations import Local, Request
from export_pipeline.destinations.beneath import Folder
from export_pipeline.destinations.unfinished import Unfinished
from export_pipeline.errors import (
    ConfigError,
    DeliveryError,
)
from export_pipeline.manifest import Written
from export_pipeline_tests.destinations.local_files import DATA, later, names, staged


def test_overwrite_replaces_in_one_step(tmp_path: Path, request_: Request, file: Written) -> None:
    target = tmp_path / "out" / "orders.csv"
    target.parent.mkdir()
    target.write_bytes(b"a former file")
    with target.open("rb") as reader:
        Local().deliver(file, request_)
        assert reader.read() == b"a former file"  # whoever reads the former file reads all of it
    assert target.read_bytes() == DATA
    Local().deliver(file, later(request_))  # the same bytes once more
    assert names(tmp_path / "out") == ["orders.csv"]


def test_version_keeps_all_and_numbers_them(tmp_path: Path, request_: Request) -> None:
    local = Local(if_exists="version")
    file = staged(tmp_path, DATA, "orders.csv.gz")
    made = [local.deliver(file, later(request_, hours)) for hours in range(3)]
    assert [receipt.name for receipt in made] == ["orders.csv.gz", "orders (2).csv.gz", "orders (3).csv.gz"]
    assert [receipt.version for receipt in made] == [1, 2, 3]
    (tmp_path / "out" / "orders (2).csv.gz").unlink()
    assert local.deliver(file, later(request_, 3)).name == "orders (2).csv.gz"


def test_version_takes_the_next_name_when_somebody_is_faster(
    tmp_path: Path, request_: Request, file: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Unfinished.create

    def slower(part: Unfinished, name: str, unlinked: Callable[[], None]) -> bool:
        if name == "orders.csv":
            (tmp_path / "out" / name).write_bytes(DATA)  # the same bytes, but not ours
        return publish(part, name, unlinked)

    monkeypatch.setattr(Unfinished, "create", slower)
    assert Local(if_exists="version").deliver(file, request_).name == "orders (2).csv"
    assert names(tmp_path / "out") == ["orders (2).csv", "orders.csv"]


def test_fail_leaves_what_is_there(tmp_path: Path, request_: Request, file: Written) -> None:
    target = tmp_path / "out" / "orders.csv"
    target.parent.mkdir()
    target.write_bytes(DATA)  # the same bytes: still not ours
    for _ in range(2):
        with pytest.raises(DeliveryError, match="is there already") as error:
            Local(if_exists="fail").deliver(file, request_)
        assert not error.value.transient
        assert "if_exists" in str(error.value)
    target.unlink()
    assert not Local(if_exists="fail").deliver(file, request_).recovered


def test_a_folder_of_that_name_is_left_alone(tmp_path: Path, request_: Request, file: Written) -> None:
    (tmp_path / "out" / "orders.csv").mkdir(parents=True)
    with pytest.raises(DeliveryError, match="there is a folder of that name"):
        Local().deliver(file, request_)
    assert Local(if_exists="version").deliver(file, later(request_)).name == "orders (2).csv"
    assert names(tmp_path / "out") == ["orders (2).csv", "orders.csv"]


@pytest.mark.parametrize("broken", [errno.EPERM, errno.EOPNOTSUPP])
def test_without_hard_links_a_name_is_taken_only_if_free(
    tmp_path: Path, request_: Request, file: Written, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(broken, os.strerror(broken))

    monkeypatch.setattr(os, "link", no_links)
    local = Local(if_exists="version")
    assert [local.deliver(file, later(request_, n)).name for n in range(2)] == ["orders.csv", "orders (2).csv"]
    look = Folder.look
    monkeypatch.setattr(Folder, "look", lambda folder, name: None if name == "orders.csv" else look(folder, name))
    assert local.deliver(file, later(request_, 2)).name == "orders (3).csv"  # the first looked free and was not
    assert names(tmp_path / "out") == ["orders (2).csv", "orders (3).csv", "orders.csv"]


def test_files_get_the_rights_that_the_user_gives_new_files(tmp_path: Path, request_: Request, file: Written) -> None:
    before = os.umask(0o027)
    try:
        Local().deliver(file, request_)
    finally:
        os.umask(before)
    assert (tmp_path / "out" / "orders.csv").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("../x", "'..'"),
        ("a/../../x", "'..'"),
        ("/srv/../etc", "'..'"),
        ("~/reports", "write it out"),
        ("{name}", "belong in file_name"),
        ("a\x00b", "cannot be shown"),
        ("a\\b", "character"),
        (".ssh", "hidden"),
    ],
)
def test_folders_that_are_refused_when_the_export_is_read(folder: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Local(folder=folder)


@pytest.mark.parametrize(("given", "kept"), [("", "."), ("./", "."), ("a/", "a"), ("./a//b", "a/b"), ("/a/", "/a")])
def test_folders_are_written_one_way(given: str, kept: str) -> None:
    assert Local(folder=given).folder == kept


def test_a_symbolic_link_below_the_root_is_not_followed(tmp_path: Path, request_: Request) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(outside)
    for local, name in ((Local(folder="link"), "x.csv"), (Local(), "link/x.csv"), (Local(folder="link/deeper"), "x")):
        with pytest.raises(DeliveryError, match="not followed"):
            local.deliver(staged(tmp_path, DATA, name), request_)
    assert names(outside) == []


def test_a_link_under_the_final_name_is_replaced_not_followed(tmp_path: Path, request_: Request, file: Written) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "orders.csv").symlink_to(secret)
    assert Local(if_exists="version").deliver(file, request_).name == "orders (2).csv"
    Local().deliver(file, later(request_))
    assert secret.read_bytes() == b"secret"
    assert not (tmp_path / "out" / "orders.csv").is_symlink()


def test_absolute_folders_are_for_the_local_command_line_or_allowed(
    tmp_path: Path, request_: Request, file: Written
) -> None:
    share = tmp_path / "share"
    (share / "reports").mkdir(parents=True)
    local = Local(folder=str(share / "reports"))
    for allowed in ((), (tmp_path / "other",), (share / "rep",)):
        with pytest.raises(ConfigError, match="not inside an allowed folder"):
            local.check(request_.replace(allowed=allowed))
        with pytest.raises(ConfigError, match="not inside an allowed folder"):
            local.deliver(file, request_.replace(allowed=allowed))
    for hours, trusted in enumerate(((share,), (tmp_path / "other", share / "reports"), None)):
        local.check(request_.replace(allowed=trusted))
        receipt = local.deliver(file, later(request_, hours).replace(allowed=trusted))
        assert receipt.place == str(share / "reports" / "orders.csv")
    (share / "link").symlink_to(tmp_path)
    with pytest.raises(DeliveryError, match="not followed"):
        Local(folder=str(share / "link")).deliver(file, request_.replace(allowed=(share,)))
