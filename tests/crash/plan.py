"""What is broken, when: a schedule made of a seed alone, so that a run can be had again.

A *lane* is one thing that can be broken (a device's process, its link, the broker, …). Each lane has faults of its own
one after the other, and all lanes go at the same time, so faults overlap as they do in a bad night. A *round* ends
with everything mended and the account checked, so that a break is found near its cause.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EDGE_MARKS = ("read", "spooled", "published", "committed")
BRIDGE_MARKS = ("taken", "committed", "acknowledged", "receipt", "sent")


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of fault: how often among its lane's, how long it lasts (seconds, from and to), and whether it is a
    kill, at which reads or deliveries may be under way."""

    name: str
    weight: int = 1
    lasts_s: tuple[float, float] = (0.0, 0.0)
    kill: bool = False


def _link(of: str) -> list[Kind]:
    return [
        Kind(f"{of}_cut", 2),
        Kind(f"{of}_reset", 2),
        Kind(f"{of}_half_open", 2),
        Kind(f"{of}_black_hole", 2, (0.3, 7.0)),
        Kind(f"{of}_refuse", 2, (0.3, 4.0)),
        Kind(f"{of}_slow", 2, (1.0, 4.0)),
    ]


# By sort of lane; a kind's name begins with what is broken.
KINDS: Mapping[str, Sequence[Kind]] = {
    "edge": [
        Kind("edge_kill", 4, (0.0, 2.0), kill=True),
        Kind("edge_kill_at_mark", 4, kill=True),
        Kind("edge_kill_starting", 2, (0.05, 0.9), kill=True),
        Kind("edge_power_cut", 3, (1.0, 4.0), kill=True),
        Kind("edge_restart", 1, (0.0, 1.0)),
        Kind("edge_hang", 2, (0.3, 6.0)),
        Kind("edge_disk_full", 1, (0.5, 3.0)),
        Kind("edge_disk_error", 1, (0.5, 3.0)),
    ],
    "edge_link": _link("edge_link"),
    "bridge": [
        Kind("bridge_kill", 3, (0.0, 2.0), kill=True),
        Kind("bridge_kill_at_mark", 5, kill=True),
        Kind("bridge_kill_starting", 1, (0.05, 0.9), kill=True),
        Kind("bridge_power_cut", 3, (1.0, 4.0), kill=True),
        Kind("bridge_restart", 1, (0.0, 1.0)),
        Kind("bridge_hang", 2, (0.3, 6.0)),
        Kind("bridge_disk_full", 1, (0.5, 3.0)),
        Kind("bridge_disk_error", 1, (0.5, 3.0)),
    ],
    "bridge_link": _link("bridge_link"),
    "broker": [
        Kind("broker_restart", 1, (0.0, 2.0)),
        Kind("broker_kill", 1, (0.0, 2.0)),
        Kind("broker_kill_and_wipe", 1, (0.0, 2.0)),
        Kind("broker_hang", 1, (0.3, 6.0)),
    ],
    "influx": [
        Kind("influx_restart", 1, (0.0, 3.0)),
        Kind("influx_kill", 1, (0.0, 3.0)),
        Kind("influx_hang", 1, (0.3, 6.0)),
    ],
    "influx_link": _link("influx_link"),
    "webhook": [Kind("webhook_refuses", 1, (0.3, 3.0)), Kind("webhook_hangs", 1, (0.3, 3.0))],
    # At the end of a round, when all is calm: what may only be judged from a known state.
    "calm": [Kind("card_put_back", 1, kill=True), Kind("store_restored", 1, kill=True)],
}
# Faults of a round by sort of lane, and the pause before each (seconds, from and to).
SHARE = {"edge": 3.0, "edge_link": 3.0, "bridge": 4.0, "bridge_link": 3.0, "broker": 1.5, "influx": 1.0}
SHARE |= {"influx_link": 1.0, "webhook": 1.0}
REST_S = {"edge": (0.5, 4.0), "edge_link": (0.5, 4.0), "bridge": (0.5, 4.0), "bridge_link": (0.5, 5.0)}
REST_S |= {"broker": (1.0, 12.0), "influx": (1.0, 12.0), "influx_link": (1.0, 12.0), "webhook": (1.0, 12.0)}
REST_S |= {"calm": (0.0, 0.0)}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a lane, `rest_s` after the one before. `mark` and `nth` only for a kill at a mark; `dice` is a
    number from 0 to 1 for what else is left to chance."""

    kind: Kind
    rest_s: float
    lasts_s: float
    mark: str = ""
    nth: int = 0
    dice: float = 0.0


Round = Mapping[str, Sequence[Fault]]  # by lane: "edge-1", "edge_link-1", "bridge", …


def sort_of(lane: str) -> str:
    return lane.partition("-")[0]


def lanes(edges: int) -> list[str]:
    """Every lane but the calm one."""
    out = [f"{sort}-{i + 1}" for sort in ("edge", "edge_link") for i in range(edges)]
    return [*out, *(sort for sort in SHARE if not sort.startswith("edge"))]


def schedule(seed: int, faults: int, edges: int, a_round: int = 100) -> list[Round]:
    """Exactly so many faults, in rounds of about equal length. Every kind occurs once a sort of lane has had as many
    faults as it has kinds."""
    rng = random.Random(seed)
    decks = {sort: _Deck(kinds, rng) for sort, kinds in KINDS.items()}
    rounds = []
    while faults > 0:
        count = min(faults, a_round if faults >= 1.5 * a_round else faults)
        calm = min(len(KINDS["calm"]), max(0, count - len(lanes(edges))))
        rounds.append(_round(rng, decks, count - calm, calm, edges))
        faults -= count
    return rounds


def _round(rng: random.Random, decks: Mapping[str, _Deck], count: int, calm: int, edges: int) -> Round:
    names = lanes(edges)
    whole = sum(SHARE[sort_of(name)] for name in names)
    wanted = {name: SHARE[sort_of(name)] * count / whole for name in names}
    numbers = {name: int(share) for name, share in wanted.items()}
    rest = sorted(names, key=lambda name: numbers[name] - wanted[name])  # largest remainder first
    for name in rest[: count - sum(numbers.values())]:
        numbers[name] += 1
    numbers["calm"] = calm
    return {name: [_fault(rng, decks[sort_of(name)].deal(), sort_of(name)) for _ in range(n)]
            for name, n in numbers.items()}  # fmt: skip


def _fault(rng: random.Random, kind: Kind, sort: str) -> Fault:
    marks = EDGE_MARKS if sort == "edge" else BRIDGE_MARKS
    mark = rng.choice(marks) if kind.name.endswith("_at_mark") else ""
    often = {"committed": 6, "receipt": 20, "sent": 3}.get(mark, 40)  # passes of this mark within a second or three
    nth = rng.randint(1, often) if mark else 0
    return Fault(kind, rng.uniform(*REST_S[sort]), rng.uniform(*kind.lasts_s), mark, nth, rng.random())


class _Deck:
    """Kinds by weight, dealt like cards: none is left out by chance."""

    def __init__(self, kinds: Sequence[Kind], rng: random.Random) -> None:
        self._kinds, self._rng = kinds, rng
        self._once = list(kinds)  # the first time round each kind once
        rng.shuffle(self._once)
        self._cards: list[Kind] = []

    def deal(self) -> Kind:
        if self._once:
            return self._once.pop()
        if not self._cards:
            self._cards = [kind for kind in self._kinds for _ in range(kind.weight)]
            self._rng.shuffle(self._cards)
        return self._cards.pop()


def by_kind(rounds: Sequence[Round]) -> dict[str, int]:
    counts = Counter(fault.kind.name for r in rounds for faults in r.values() for fault in faults)
    return dict(sorted(counts.items()))
