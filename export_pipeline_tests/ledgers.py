"""A delivery to claim, for tests of the ledger."""

from __future__ import annotations

from datetime import UTC, datetime

from export_pipeline.ledger import Claim, Delivery, Ledger

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORDERS = Delivery("orders", NOON, "csv", "local:/srv/reports", "c0ffee")


def claimed(ledger: Ledger, delivery: Delivery = ORDERS, run: str = "run-1", **options: object) -> Claim:
    """Claim a delivery that is free."""
    claim = ledger.claim(delivery, run, **options)  # type: ignore[arg-type]
    assert isinstance(claim, Claim)
    return claim
