"""Simulated devices of others against the bridge's own work and a real store: every format, every fault, and the
account of what they sent closes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import config
from gateway.bridge.store import Store
from gateway.bridge.work import Rules, Work
from gateway.model import Message
from simulators import foreignhouse as house
from simulators.foreigndevices import CATALOGUE, FORMATS, Sender, faults_of, least_readings, plan

NOW = 1_790_000_000_000
TEN_MINUTES = 600_000


def sender(format_: str, faults: Sequence[str], seed: int = 1, interval_ms: int = TEN_MINUTES) -> Sender:
    return plan(format_, faults, least_readings(len(faults)) + 5, NOW, interval_ms, seed)


class Bridge:
    """One that takes what the simulated devices would publish, a batch for so many messages."""

    def __init__(self, folder: Path, senders: Sequence[Sender]) -> None:
        self.folder, self.senders = folder, senders
        house.configure(folder, senders, "mqtt.example", 1883)
        self.settings, self.registry = config.load_bridge(folder)
        self.store = Store(folder / "store.db")
        self.memory = self.store.load()
        self.counts: Counter[str] = Counter()

    def take(self, batch: int = 1) -> None:
        """All that they send, each message a moment after the other."""
        sent = []
        for place, message in enumerate(house.in_turn(self.senders)):
            house._note(self.folder, message)
            if message.fate != "lost":
                sent.append(Message(message.topic, message.payload, NOW + 10 * place))
        for first in range(0, len(sent), batch):
            self._commit(sent[first : first + batch])

    def _commit(self, messages: Sequence[Message]) -> None:
        now = messages[-1].received_ms
        work = Work(self.memory, Rules(self.registry, self.settings, now, now + 300_000, 0))
        for message in messages:
            work.take(message)
        self.store.commit(work)
        work.swap_in()
        self.counts += work.counts

    def restart(self) -> None:
        self.store.close()
        self.store = Store(self.folder / "store.db")
        self.memory = self.store.load()

    def samples(self, *fates: str) -> int:
        return sum(m.samples for x in self.senders for m in x.messages if m.fate in fates)

    def closes(self) -> None:
        """The account, and the bridge's own count of each fate."""
        assert house.account(self.folder).problems == ()
        told = {fate: self.counts[fate] for fate in ("accepted", "duplicate", "rejected")}
        assert told == {fate: self.samples(fate) for fate in told}
        assert self.counts["received"] == self.samples(*told)


@contextmanager
def bridge(*senders: Sender) -> Iterator[Bridge]:
    with TemporaryDirectory() as folder:
        found = Bridge(Path(folder), senders)
        try:
            yield found
        finally:
            found.store.close()


SHOWN = [(name, fault) for name in FORMATS for fault in faults_of(name)]


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_wrong(name: str) -> None:
    """Every reading of a device without faults is stored, as it was."""
    with bridge(sender(name, [])) as found:
        found.take()
        found.closes()
        assert found.samples("accepted") == found.counts["received"] == least_readings(0) + 5


@pytest.mark.parametrize(("name", "fault"), SHOWN)
def test_each_fault_of_each_format(name: str, fault: str) -> None:
    """Twice a fault: the account closes, and the fault shows in what was sent."""
    said = sender(name, [fault, fault])
    with bridge(said) as found:
        found.take(5)
        found.closes()
    assert sum(m.fault == fault for m in said.messages) >= 2


@pytest.mark.parametrize("batch", [1, 7, 10_000])
def test_all_faults_of_all_formats(batch: int) -> None:
    """However many messages the bridge takes in one transaction."""
    with bridge(*(sender(name, list(CATALOGUE)) for name in FORMATS)) as found:
        found.take(batch)
        found.closes()


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32),
    faults=st.lists(st.sampled_from(list(CATALOGUE)), max_size=20),
    names=st.lists(st.sampled_from(list(FORMATS)), min_size=1, max_size=3, unique=True),
    minutes=st.sampled_from([1, 10, 60]),
    batch=st.integers(1, 40),
)
def test_any_faults(seed: int, faults: list[str], names: list[str], minutes: int, batch: int) -> None:
    """Whatever the faults, in whatever order, by whatever interval: each message has the fate that it should have."""
    with bridge(*(sender(name, faults, seed, minutes * 60_000) for name in names)) as found:
        found.take(batch)
        found.closes()


def test_again_after_a_restart() -> None:
    """All that has a number or a time is known again by a bridge that was started anew; the account still closes."""
    dated = [name for name, kind in FORMATS.items() if kind.dated]
    with bridge(*(sender(name, ["late", "stuck", "rejoin"]) for name in dated)) as found:
        found.take()
        found.restart()
        before = found.counts["duplicate"]
        found.take()
        assert found.counts["duplicate"] - before == found.samples("accepted", "duplicate")
        assert house.account(found.folder).problems != ()  # the log has each twice now


def test_the_account_tells_what_is_missing_twice_and_refused() -> None:
    """A reading that is not stored, one too many, and a dead letter too few are each told, with the first."""
    with bridge(sender("senml_json", ["garbage"]), sender("esphome", ["lost"])) as found:
        found.take()
        db = found.store.db
        db.execute("DELETE FROM observations WHERE id = (SELECT min(id) FROM observations)")
        db.execute("UPDATE observations SET value = 77 WHERE id = (SELECT max(id) FROM observations)")
        db.execute("DELETE FROM dead_letters")
        told = house.account(found.folder).problems
    assert len(told) == 3
    assert told[0].startswith("2 readings published and not stored (first: esphome water_level")
    assert told[1] == "1 readings stored and never published, or twice (first: esphome water_level None 77.0 )"
    assert told[2] == "1 refusals without a dead letter (first: senml-json-01 bad_uplink)"


def test_a_seed_decides_everything() -> None:
    """The same seed makes the same messages, another one others."""
    one, same, other = (sender("chirpstack_raw", list(CATALOGUE), seed) for seed in (1, 1, 2))
    assert one == same != other


def test_a_duplicate_comes_through_another_gateway() -> None:
    """Of a radio the same transmission with the same number, by a second gateway some milliseconds later."""
    sent = sender("chirpstack_raw", ["duplicated"]).messages
    first, again = (json.loads(m.payload) for m in sent if m.fault == "duplicated")
    assert (first["deduplicationId"], first["fCnt"]) == (again["deduplicationId"], again["fCnt"])
    assert first["rxInfo"][0]["gatewayId"] != again["rxInfo"][0]["gatewayId"]
    assert first["time"] < again["time"]


def test_counters() -> None:
    """A lost uplink leaves a gap in the count; one that joins anew counts from 0, which is not in the message."""
    sent = [json.loads(m.payload or b"{}") for m in sender("chirpstack_raw", ["lost", "rejoin"]).messages]
    counts = [(x.get("devAddr"), x.get("fCnt", 0)) if x else None for x in sent]
    assert counts.count(None) == 1
    assert len({address for address, _ in filter(None, counts)}) == 2
    assert [x for x in sent if x and "fCnt" not in x]


def test_too_many_faults() -> None:
    """Who asks for more faults than there is room for is told how many readings they need."""
    with pytest.raises(ValueError, match="3 faults of esphome need 24 readings, and there are 20"):
        plan("esphome", ["lost"] * 3, 20, NOW, TEN_MINUTES)


def test_what_a_format_cannot_show_is_left_out() -> None:
    """Without a counter there is no rejoin, and a part of a bare number is a number."""
    assert not {"rejoin", "reset", "cut", "late", "unset"} & {*faults_of("esphome")}
    assert {"duplicated", "lost", "garbage"} <= {*faults_of("esphome")}
    assert [name for name in CATALOGUE if not any(name in faults_of(x) for x in FORMATS)] == []
