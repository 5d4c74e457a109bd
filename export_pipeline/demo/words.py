"""What the demo is made of: the names of agents, the kinds of commands, and what they say."""

from __future__ import annotations

from typing import NamedTuple

TEAMS = ("Platform", "Payments", "Search", "Données", "Größenordnung", "データ基盤", "Mobile")
REGIONS = ("eu-central", "eu-west", "us-east", "us-west", "ap-south", "ap-northeast", "sa-east")
VERSIONS = ("2.9.4", "3.0.1", "3.1.0", "3.2.2")

_FIRST = (
    "amber", "brave", "calm", "deft", "eager", "fleet", "gentle", "hardy", "ivory", "jolly", "keen", "lucid", "mellow",
    "nimble", "opal", "proud", "quiet", "rapid", "solid", "tidy",
)  # fmt: skip
_SECOND = ("otter", "falcon", "badger", "heron", "lynx", "marten", "osprey", "robin", "stoat")
_ABROAD = (
    "Zoë Ørsted", "São Paulo Nº 2", "naïve-ñandú", "Łódź-Köln", "Ștefan cel Mare", "北京-部署", "東京エージェント",
    "서울-빌드", "Αθήνα-1", "Київ-збірка", "دمشق", "תל-אביב", "नई-दिल्ली", "กรุงเทพ", "O'Brien & Sons", 'the "old" one',
    "semi;colon, comma", "🚀 launcher", "👩‍💻 pair", "zero\u200bwidth",
)  # fmt: skip
AGENTS = (*(f"{first}-{second}" for second in _SECOND for first in _FIRST), *_ABROAD)
"""The names of the 200 agents."""


class Command(NamedTuple):
    """A kind of command: how often it is run, how long it takes, what an hour of it costs."""

    name: str
    weight: float
    milliseconds: float
    usd_per_hour: float


COMMANDS = (
    Command("test", 34, 41_000, 4.20),
    Command("build", 24, 63_000, 6.00),
    Command("lint", 16, 4_200, 1.80),
    Command("scan", 9, 18_000, 2.50),
    Command("deploy", 8, 52_000, 8.50),
    Command("restart", 5, 2_600, 0.50),
    Command("migrate", 3, 95_000, 19.00),
    Command("rollback", 1, 21_000, 8.50),
)


class Message(NamedTuple):
    """What a command says around a number, in which outcome, and how often."""

    outcome: str
    weight: float
    before: str
    after: str


MESSAGES = (
    Message("success", 40, "completed step ", ""),
    Message("success", 12, "", " tests passed ✅"),
    Message("success", 8, "Schritt ", " abgeschlossen, größere Pause"),
    Message("success", 6, "artifact sha256:", "c0ffee, 3 files"),
    Message("success", 5, "=== summary of ", " checks ==="),
    Message("success", 4, "étape ", " terminée; déjà à jour"),
    Message("success", 3, "完了: ", " 件"),
    Message("failed", 30, "exit after ", " ms: assertion failed"),
    Message("failed", 14, 'could not reach "db-', '", gave up'),
    Message("failed", 9, "out of memory at ", " MiB 💥"),
    Message("failed", 7, "Traceback (most recent call last):\n  line ", "\nValueError: 'naïve' is not a number"),
    Message("failed", 4, "-", " is no valid exit code"),
    Message("timeout", 20, "no answer for 300 s (attempt ", ")"),
    Message("timeout", 6, "Zeitüberschreitung ⏱️ nach Schritt ", ""),
    Message("cancelled", 10, "cancelled by user ", ""),
    Message("running", 10, "waiting for slot ", " …"),
)
