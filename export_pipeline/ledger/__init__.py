"""The ledger: the only truth about what was sent where.

One row per delivery and attempt. A delivery is known by its key (`Delivery`), so two runs, two processes or a retry
that mean the same file for the same place meet in the same row::

    planned ──claim──> sending ──receipt──> verified        the file is there; later claims get the receipt
                          │ ▲
                          │ └──claim── failed               it is not there, as far as anybody knows
                          └──────────> unknown              it may be there; only a person sends it again

Who claims a delivery owns it for the time of a *lease*, measured by the clock of the database and prolonged while the
owner works. The lease of a process that is known to be dead ends at once, that of any other when its time is over.
Before the step after which a file can be seen, the owner writes down what it is about to publish (`Claim.reserve`);
whoever takes over looks there first. So a SIGKILL between that step and the receipt makes neither a second file nor a
lost one.
"""

from __future__ import annotations

from export_pipeline.ledger.claims import Claim, Claims
from export_pipeline.ledger.entries import Delivery, Entry, Mark, State
from export_pipeline.ledger.ledger import Ledger

__all__ = ["Claim", "Claims", "Delivery", "Entry", "Ledger", "Mark", "State"]
