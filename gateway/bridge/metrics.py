"""What the bridge tells of itself in numbers. Every metric is a row of `METRICS` and of the table in the architecture's
README; a test compares them. Labels come from closed lists or from the configuration, so their number is bounded.

Samples are counted together, after the commit: received = accepted + rejected + duplicate holds at every look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.bridge.bulletins import FATES
from gateway.bridge.ledger import REJECTED, STORED, DeviceLedger
from gateway.bridge.ngsiclient import REFUSALS
from gateway.bridge.room import Usage
from gateway.bridge.work import Memory, Work
from gateway.errors import GoneReason, NoticeCode, RejectCode
from gateway.model import Change, Condition, Flag

K = TypeVar("K")
Labelled = tuple[tuple[str, ...], float]  # label values, number


@dataclass(frozen=True, slots=True)
class Metric:
    """Name without the prefix `suimon_`, type, label names, one sentence."""

    name: str
    kind: str
    labels: tuple[str, ...]
    sentence: str


METRICS = (
    Metric("samples_received_total", "counter", (), "samples in messages from devices, whatever became of them"),
    Metric("samples_accepted_total", "counter", (), "samples stored"),
    Metric("samples_rejected_total", "counter", (), "samples and unreadable messages that became dead letters"),
    Metric("samples_duplicate_total", "counter", (), "samples that were stored or rejected before"),
    Metric("observations_total", "counter", ("flag",), "values and faults stored, by quality flag"),
    Metric("dead_letters_total", "counter", ("code",), "dead letters written, by reject code"),
    Metric("transitions_total", "counter", ("change",), "changes of alert states, by kind"),
    Metric("notifications_total", "counter", ("medium", "state"), "notifications sent, given up, or to be tried again"),
    Metric("commits_total", "counter", (), "transactions of the store"),
    Metric("commit_seconds_total", "counter", (), "time spent in them"),
    Metric("commit_failures_total", "counter", (), "transactions that the disk refused; they are tried again"),
    Metric("commit_timestamp_seconds", "gauge", (), "time of the last transaction with messages, 0 before the first"),
    Metric("broker_connected", "gauge", ("session",), "1 while that session is connected"),
    Metric("held_bytes", "gauge", (), "messages taken from the broker and not yet committed"),
    Metric("clock_believed", "gauge", (), "1 while the bridge judges the future by its own clock"),
    Metric("devices", "gauge", ("state",), "configured devices that said online or offline, or never spoke"),
    Metric("channels", "gauge", ("condition",), "watched channels, by what is known of them"),
    Metric("stations", "gauge", ("rank",), "stations by the highest rank of their channels"),
    Metric("samples_held", "gauge", (), "samples that devices hold and the bridge lacks, by their last statements"),
    Metric("samples_gone", "gauge", ("reason",), "samples that will never arrive, by reason"),
    Metric("notices", "gauge", ("code",), "conditions of the house that last, by code"),
    Metric("notifications_again_total", "counter", (), "notifications handed over a second time, after a kill"),
    Metric("notifications_owed", "gauge", (), "notifications that nobody has taken yet"),
    Metric("influx_rows_waiting", "gauge", (), "rows that InfluxDB does not have yet; 0 without InfluxDB"),
    Metric("orion_entities_waiting", "gauge", (), "stations whose latest values the context broker lacks"),
    Metric("orion_rejected_total", "counter", ("status",), "refusals of one station by the context broker"),
    Metric("bulletins_total", "counter", ("fate",), "documents of the feed of bulletins, by what became of them"),
    Metric("bulletins_unheard", "gauge", (), "1 while the feed of bulletins cannot be read; 0 without one"),
    Metric("store_bytes", "gauge", (), "what the store's pages and its write-ahead log fill"),
    Metric("store_capacity_bytes", "gauge", (), "what they may fill: the ceiling, or less where the disk is smaller"),
    Metric("rows_pruned_total", "counter", (), "rows that left the store in their time or made room"),
    Metric("rows_thinned_total", "counter", (), "rows given up above 95 % before InfluxDB had them"),
    Metric("configuration_info", "gauge", ("digest",), "1 for the digest of the configuration in force"),
    Metric("configuration_timestamp_seconds", "gauge", (), "since when it is in force"),
    Metric("configuration_reloads_total", "counter", ("result",), "configurations read while running, by result"),
)


@dataclass(frozen=True, slots=True)
class Totals:
    """Counted since the start. Never changed, only replaced after a commit, so that one look sees one moment."""

    samples: Mapping[str, int] = field(default_factory=dict)
    flags: Mapping[str, int] = field(default_factory=dict)
    letters: Mapping[str, int] = field(default_factory=dict)
    changes: Mapping[str, int] = field(default_factory=dict)
    notifications: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by medium and state
    again: int = 0
    commits: int = 0
    commit_s: float = 0.0

    def after(self, work: Work, took_s: float) -> Totals:
        """These and what a committed batch adds."""
        return Totals(
            _plus(self.samples, work.counts),
            _plus(self.flags, Counter(o.flag.name.lower() for o in work.observations)),
            _plus(self.letters, Counter(x.code.value for x in work.letters)),
            _plus(self.changes, Counter(t.change.value for t in work.transitions)),
            _plus(self.notifications, Counter((j.medium, j.state) for j in work.jobs)),
            self.again + sum(j.again for j in work.jobs),
            self.commits + 1,
            self.commit_s + took_s,
        )


def _plus(old: Mapping[K, int], new: Mapping[K, int]) -> Mapping[K, int]:
    return dict(Counter(old) + Counter(new)) if new else old  # a sum of counters leaves zeros out


@dataclass(frozen=True, slots=True)
class Look:
    """What only a look at this moment can tell."""

    commit_failures: int
    committed_s: float
    connected: Mapping[str, bool]
    held_bytes: int
    clock_believed: bool
    devices: Mapping[str, int]
    stations: Mapping[int, int]
    owed: int
    media: tuple[str, ...]
    influx_waiting: int
    orion: tuple[int, Mapping[int, int]]  # entities that wait, refusals since the start by status
    bulletins: tuple[bool, Mapping[str, int]]  # unheard, what became of documents since the start
    room: Usage
    pruned: int
    thinned: int
    configuration: str = ""  # its digest
    configured_s: float = 0.0
    reloads: Mapping[str, int] = field(default_factory=dict)


def values(totals: Totals, look: Look, memory: Memory) -> Iterator[tuple[Metric, list[Labelled]]]:
    """Every metric with its numbers, in the order of the table."""
    found = _totals(totals, look.media) | _look(look) | _memory(memory)
    for metric in METRICS:
        yield metric, found[metric.name]


def _totals(t: Totals, media: Iterable[str]) -> dict[str, list[Labelled]]:
    return {
        **{f"samples_{name}_total": _one(t.samples.get(name, 0)) for name in SAMPLES},
        "observations_total": _by([f.name.lower() for f in Flag], t.flags),
        "dead_letters_total": _by(RejectCode, t.letters),
        "transitions_total": _by(Change, t.changes),
        "notifications_total": [
            ((medium, state), float(t.notifications.get((medium, state), 0))) for medium in media for state in OUTCOMES
        ],
        "notifications_again_total": _one(t.again),
        "commits_total": _one(t.commits),
        "commit_seconds_total": _one(t.commit_s),
    }


OUTCOMES = ("sent", "retry", "given_up")
SAMPLES = ("received", "accepted", "rejected", "duplicate")


def _look(x: Look) -> dict[str, list[Labelled]]:
    return {
        "commit_failures_total": _one(x.commit_failures),
        "commit_timestamp_seconds": _one(x.committed_s),
        "broker_connected": _by(x.connected, x.connected),
        "held_bytes": _one(x.held_bytes),
        "clock_believed": _one(x.clock_believed),
        "devices": _by(("online", "offline", "unheard"), x.devices),
        "stations": [((str(rank),), x.stations.get(rank, 0)) for rank in range(6)],
        "notifications_owed": _one(x.owed),
        "influx_rows_waiting": _one(x.influx_waiting),
        "orion_entities_waiting": _one(x.orion[0]),
        "orion_rejected_total": [((str(n),), float(x.orion[1].get(n, 0))) for n in REFUSALS],
        "bulletins_total": _by(FATES, x.bulletins[1]),
        "bulletins_unheard": _one(x.bulletins[0]),
        "store_bytes": _one(x.room.used),
        "store_capacity_bytes": _one(x.room.capacity),
        "rows_pruned_total": _one(x.pruned),
        "rows_thinned_total": _one(x.thinned),
        "configuration_info": [((x.configuration,), 1.0)],
        "configuration_timestamp_seconds": _one(x.configured_s),
        "configuration_reloads_total": _by(("applied", "refused"), x.reloads),
    }


def _memory(memory: Memory) -> dict[str, list[Labelled]]:
    """The writer adds to these dictionaries meanwhile: `list()` of one is a single step, iterating is not."""
    ledgers = list(memory.ledgers.values())
    gone: Counter[str] = Counter()
    for ledger in ledgers:
        for entry in list(ledger.logs.values()):
            for kind, ranges in list(entry.kinds.items()):
                if kind not in (STORED, REJECTED):
                    gone[kind] += ranges.count
    return {
        "channels": _by(Condition, Counter(s.condition.value for s in list(memory.states.values()))),
        "samples_held": _one(sum(held(ledger) for ledger in ledgers)),
        "samples_gone": _by(GoneReason, gone),
        "notices": _by(NoticeCode, Counter(code.value for code, _, _ in list(memory.notices))),
    }


def held(ledger: DeviceLedger) -> int:
    """Samples that the device listed in its last statement and that are not settled."""
    return sum(
        b - a + 1
        for entry in list(ledger.logs.values())
        if entry.held is not None
        for a, b in entry.settled.missing(entry.held[0], entry.held[1] - 1)
    )


def _one(number: float) -> list[Labelled]:
    return [((), float(number))]


def _by(names: Iterable[str], numbers: Mapping[str, float]) -> list[Labelled]:
    """Every name of a closed list, also those that were not counted yet: a rate needs its zero."""
    return [((str(name),), float(numbers.get(name, 0))) for name in names]


def text(totals: Totals, look: Look, memory: Memory) -> bytes:
    """The text that Prometheus reads. Raises ModuleNotFoundError where its library is not installed."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector

    class Snapshot(Collector):
        def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
            for metric, numbers in values(totals, look, memory):
                family = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                out = family(f"suimon_{metric.name}", metric.sentence, labels=metric.labels)
                for labels, number in numbers:
                    out.add_metric(labels, number)
                yield out

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Snapshot())
    ProcessCollector(registry=registry)
    return generate_latest(registry)
