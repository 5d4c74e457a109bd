"""What every destination keeps to. A new member of the union needs an entry in `PLACES`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from export_pipeline.destinations import AnyDestination, Destination, Local, Receipt, Request
from export_pipeline.errors import Cancelled, DeliveryBusyError, VerificationError
from export_pipeline.ledger import Claim, Claims, State
from export_pipeline.options import members_of
from export_pipeline.options.docs import documented
from export_pipeline_tests.destinations.local_files import NOON, staged


@dataclass(frozen=True)
class Place:
    """A destination and a look at what is there, by other means than its own."""

    destination: Destination
    files: Callable[[], Mapping[str, bytes]]
    """All that is there, unfinished files too."""


def _local(**options: object) -> Callable[[Path], Place]:
    def make(folder: Path) -> Place:
        reports = folder / "out" / "reports"

        def files() -> dict[str, bytes]:
            found = (path for path in reports.rglob("*") if path.is_file())
            return {str(path.relative_to(reports)): path.read_bytes() for path in found}

        return Place(Local.model_validate({"folder": "reports"} | options), files)

    return make


PLACES: dict[str, Callable[[Path], Place]] = {
    "local": _local(),
    "local, version": _local(if_exists="version"),
    "local, fail": _local(if_exists="fail"),
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return PLACES[request.param](tmp_path)


def test_every_destination_is_tested() -> None:
    assert {name.split(",")[0] for name in PLACES} == set(members_of(AnyDestination))


def test_the_bytes_arrive_and_the_receipt_tells_them(place: Place, request_: Request, tmp_path: Path) -> None:
    for number, data in enumerate([b"", b"a,b\n1,2\n", bytes(range(256)) * 20_000]):
        file = staged(tmp_path / "staging", data, f"{number}.csv")
        receipt = place.destination.deliver(file, request_.replace(output=f"csv-{number}"))
        assert place.files()[receipt.name] == data
        assert (receipt.bytes, receipt.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert (receipt.destination, receipt.run_id, receipt.skipped) == (place.destination.tag, "run-1", False)
        assert Receipt.model_validate(receipt.dump()) == receipt
        assert file.path.read_bytes() == data  # the staged file stays for other destinations and retries
    assert len(place.files()) == 3


@pytest.mark.parametrize("name", ["2026/11/orders.csv", "Größe 日本 'x' $(id) %41.csv", "x" * 196 + ".csv"])
def test_names_arrive_as_they_are(place: Place, request_: Request, tmp_path: Path, name: str) -> None:
    receipt = place.destination.deliver(staged(tmp_path, b"x", name), request_)
    assert receipt.name == name
    assert place.files() == {name: b"x"}


def test_it_is_sent_once_however_often_it_is_asked(place: Place, request_: Request, tmp_path: Path) -> None:
    file = staged(tmp_path, b"one")
    first = place.destination.deliver(file, request_)
    again = place.destination.deliver(staged(tmp_path, b"two"), request_.replace(run_id="run-2"))
    assert again == first.replace(skipped=True, reason=again.reason)
    assert "delivered before: by run run-1" in again.reason
    assert place.files() == {"orders.csv": b"one"}


def test_two_runs_at_once_send_it_once(place: Place, request_: Request, tmp_path: Path) -> None:
    owner = request_.ledger.claim(request_.delivery(place.destination), "run-0")
    assert isinstance(owner, Claim)
    file = staged(tmp_path, b"one")
    with owner:
        with pytest.raises(DeliveryBusyError):
            place.destination.deliver(file, request_)
        assert place.files() == {}
    assert not place.destination.deliver(file, request_).skipped


def test_a_published_file_without_receipt_is_found(
    place: Place, request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = staged(tmp_path, b"one")
    with monkeypatch.context() as patch:
        patch.setattr(Claims, "verified", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            place.destination.deliver(file, request_)
    assert place.files() == {"orders.csv": b"one"}
    receipt = place.destination.deliver(file, request_.replace(run_id="run-2"))
    assert (receipt.recovered, receipt.name, receipt.sha256) == (True, "orders.csv", file.sha256)
    assert place.files() == {"orders.csv": b"one"}


def test_sending_again_on_purpose_is_another_attempt(place: Place, request_: Request, tmp_path: Path) -> None:
    file = staged(tmp_path, b"one")
    first = place.destination.deliver(file, request_)
    wanted = request_.replace(run_id="run-2", redeliver="run-2")
    if getattr(place.destination, "if_exists", None) == "fail":
        (tmp_path / "out" / "reports" / first.name).unlink()
    again = place.destination.deliver(file, wanted)
    assert (again.attempt, again.skipped, again.run_id) == (2, False, "run-2")
    assert place.files()[again.name] == b"one"
    assert place.destination.deliver(file, wanted).skipped


def test_a_cancelled_delivery_leaves_nothing_and_can_be_made_later(
    place: Place, request_: Request, tmp_path: Path
) -> None:
    stop = threading.Event()
    stop.set()
    file = staged(tmp_path, b"one" * 1_000_000)
    with pytest.raises(Cancelled):
        place.destination.deliver(file, request_.replace(stop=stop))
    assert place.files() == {}
    assert request_.ledger.entries()[0].state is State.FAILED
    place.destination.deliver(file, request_)
    assert len(place.files()) == 1


@pytest.mark.parametrize("damage", [b"two", b"ones", b""])
def test_a_staged_file_that_changed_is_not_published(
    place: Place, request_: Request, tmp_path: Path, damage: bytes
) -> None:
    file = staged(tmp_path, b"one")
    file.path.write_bytes(damage)
    with pytest.raises(VerificationError, match="is not the file that was verified"):
        place.destination.deliver(file, request_)
    assert place.files() == {}


def test_another_moment_output_config_or_place_is_another_delivery(
    place: Place, request_: Request, tmp_path: Path
) -> None:
    places = {
        request_.replace(**change).delivery(place.destination).key
        for change in (
            {},
            {"logical_time": NOON + timedelta(hours=1)},
            {"output": "json"},
            {"config_hash": "decaf"},
            {"export": "refunds"},
            {"root": tmp_path / "elsewhere"},
            {"run_id": "run-2"},  # the same delivery as the first
        )
    }
    assert len(places) == 6


def test_it_is_written_in_a_file_as_one_key(place: Place) -> None:
    adapter: TypeAdapter[Destination] = TypeAdapter(AnyDestination)
    dumped = adapter.dump_python(place.destination, mode="json", exclude_defaults=True)
    assert list(dumped) == [place.destination.tag]
    assert adapter.validate_python(dumped) == place.destination


def test_every_option_is_documented() -> None:
    for tag, member in members_of(AnyDestination).items():
        assert documented(member).keys() >= member.model_fields.keys(), tag
