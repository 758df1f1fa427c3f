"""Another configuration for a running bridge: what differs, what is fixed, what it means for what is remembered, and
whom the deliverers serve from then on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import settings
from gateway.bridge import changes
from gateway.bridge.changes import Changes
from gateway.bridge.delivering import Deliverers
from gateway.bridge.media import AlertTopic
from gateway.bridge.notify import Outcome, Owed
from gateway.bridge.reloading import InForce, Reloader
from gateway.bridge.store import Store
from gateway.bridge.work import Memory, Work
from gateway.channelstate import ChannelState
from gateway.disk import DISK
from gateway.episodes import Course, Episode, Told
from gateway.errors import ConfigError, Problem
from gateway.model import Change, Condition
from gateway.stations import Registry
from tests import servers, world
from tests.world import DEVICE, STATION, T0, TENANT, Reply, http_server

OLD = world.bridge(Path("store.db"))
MINUTE = 60_000


def hook(name: str, url: str = "http://127.0.0.1:1/", **more: object) -> settings.Recipient:
    return settings.Recipient(name, "webhook", url, **more)  # type: ignore[arg-type]


# --- what differs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "new", "stations", "expected"),
    [
        ("nothing", OLD, [STATION], Changes()),
        ("a station more", OLD, [STATION, "harbour"], Changes(stations_added=(f"{TENANT}/harbour",))),
        ("another one", OLD, ["harbour"], Changes((f"{TENANT}/harbour",), (f"{TENANT}/{STATION}",))),
        ("a recipient", replace(OLD, recipients=(hook("duty"),)), [STATION], Changes(recipients_added=("duty",))),
        ("settings", replace(OLD, max_payload=5, store_keep_s=9e5), [STATION],
         Changes(settings_changed=("max_payload", "store_keep_s"))),
    ],
)  # fmt: skip
def test_what_differs(what: str, new: settings.Bridge, stations: list[str], expected: Changes) -> None:
    """Names of what came, went and is another."""
    registry = world.registry(*(world.station(name) for name in stations))
    assert changes.between(OLD, world.registry(world.station()), new, registry) == expected, what


def test_a_secret_is_a_change_and_is_not_named() -> None:
    """Another token makes another recipient; neither the words nor the digest show it."""
    old, new = (replace(OLD, recipients=(hook("duty", token=token),)) for token in ("hush-1", "hush-2"))
    found = changes.between(old, world.registry(), new, world.registry())
    assert found.lines() == ["recipients changed: duty"]
    assert changes.digest(old, world.registry()) == changes.digest(new, world.registry())


def test_every_setting_is_fixed_or_taken_over() -> None:
    """What connections, ports and the open file hang on takes a restart; each names its place in bridge.yaml."""
    other = world.bridge(Path("other.db"), 2, client_id="x", max_held_bytes=1, watch=("127.0.0.1", 1), simulation=True)
    found = changes.needing_restart(OLD, other)
    assert [path for path, _ in found] == [
        ("store", "path"),
        ("broker",),
        ("client_id",),
        ("watch",),
        ("limits", "held"),
        ("simulation",),
    ]
    assert changes.needing_restart(OLD, replace(OLD, recipients=(hook("duty"),), alert_topic=False)) == []


# --- reading and swapping ----------------------------------------------------------------------------------------


class Room:
    """A reloader whose folder holds what the test puts there."""

    def __init__(self) -> None:
        self.holds: Callable[[], tuple[settings.Bridge, Registry]] = lambda: (OLD, world.registry())
        self.adopted: list[settings.Bridge] = []
        self.read = threading.Event()
        self.told: list[tuple[str, int]] = []
        self.takes = False
        self.reloader = Reloader(
            lambda: self.holds(),
            InForce(OLD, world.registry(), T0),
            lambda bridge, _: self.adopted.append(bridge),
            lambda: T0 + 1,
            self.read.set,
            place=lambda path: {("store", "path"): (3, 15)}.get(path, (1, 1)),
            tell=self._tell,
        )

    def _tell(self, digest: str, since_ms: int) -> bool:
        self.told.append((digest, since_ms))
        return self.takes

    def answered(self, request: int) -> tuple[str, dict[str, object]]:
        self.read.clear()
        self.reloader.step()
        assert self.reloader.waits(request)
        assert self.read.wait(10)
        self.reloader.step()
        assert not self.reloader.waits(request)
        state, text = self.reloader.answer(request) or ("", "{}")
        return state, json.loads(text)


def raising(problem: Exception) -> Callable[[], tuple[settings.Bridge, Registry]]:
    def load() -> tuple[settings.Bridge, Registry]:
        raise problem

    return load


def test_what_is_in_force_is_told() -> None:
    """From the start, again until it could be kept, and at each swap."""
    room, new = Room(), replace(OLD, max_payload=5)
    room.reloader.step()
    room.takes = True
    room.reloader.step()
    room.reloader.step()
    assert room.told == [(world.registry().digest(), T0)] * 2
    room.holds = lambda: (new, world.registry(world.station("harbour")))
    room.reloader.ask(1)
    room.answered(1)
    assert room.told[2:] == [(world.registry(world.station("harbour")).digest(), T0 + 1)]


def test_a_configuration_in_order_is_in_force() -> None:
    """It is adopted once, and the answer says since when and what has changed."""
    room, new = Room(), replace(OLD, max_payload=5)
    room.holds = lambda: (new, world.registry())
    room.reloader.ask(1)
    state, said = room.answered(1)
    assert (state, said["since_ms"], said["changed"]) == ("done", T0 + 1, ["settings changed: max_payload"])
    assert room.adopted == [new]
    assert room.reloader.counts == {"applied": 1, "refused": 0}


@pytest.mark.parametrize(
    ("what", "problem", "words"),
    [
        ("every mistake", ConfigError([Problem("a.yaml", 1, 2, "x", "one"), Problem("b.yaml", 3, 4, "y", "two")]),
         ["a.yaml:1:2 x: one", "b.yaml:3:4 y: two"]),
        ("a mistake of ours", RecursionError("too deep"), [":1:1 it could not be read: RecursionError: too deep"]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_changes_nothing(what: str, problem: Exception, words: list[str]) -> None:
    """Refused with all problems; the bridge keeps what it has, and the next configuration in order is taken."""
    room = Room()
    room.holds = raising(problem)
    room.reloader.ask(1)
    state, said = room.answered(1)
    assert (state, said["problems"], room.adopted) == ("refused", words, []), what
    room.holds = lambda: (replace(OLD, max_payload=6), world.registry())
    room.reloader.ask(2)
    assert room.answered(2)[0] == "done"


def test_what_is_fixed_refuses_the_whole() -> None:
    """Another store and another recipient: neither is taken, and the one that takes a restart is named."""
    room = Room()
    room.holds = lambda: (replace(OLD, store=Path("b.db"), recipients=(hook("duty"),)), world.registry())
    room.reloader.ask(1)
    state, said = room.answered(1)
    assert (state, room.adopted) == ("refused", [])
    assert said["problems"] == [
        "bridge.yaml:3:15 store.path: 'b.db' is not 'store.db', with which the bridge runs; it is fixed while the "
        "bridge runs. Put it back and reload the rest, or restart the bridge"
    ]


def test_who_asks_while_it_reads_is_answered_by_the_next_reading() -> None:
    """The files may have changed since the reading began."""
    room, go = Room(), threading.Event()

    def slow() -> tuple[settings.Bridge, Registry]:
        go.wait(10)
        return OLD, world.registry()

    room.holds = slow
    room.reloader.ask(1)
    room.reloader.step()
    room.reloader.ask(2)
    go.set()
    assert room.read.wait(10)
    room.reloader.step()
    assert (room.reloader.answer(1) is not None, room.reloader.waits(2)) == (True, True)
    assert room.answered(2)[0] == "done"


# --- what is remembered ------------------------------------------------------------------------------------------


class Town:
    """A bridge's memory, batch by batch, without a disk."""

    def __init__(self, *recipients: str) -> None:
        self.bridge = replace(OLD, recipients=tuple(hook(name) for name in recipients))
        self.memory, self.now_ms, self.owed, self.transitions = Memory("store"), T0, list[Owed](), list[Change]()

    def batch(self, registry: Registry, *values: tuple[int, float], at_s: int = 1) -> Work:
        self.now_ms += at_s * 1000
        work = world.work(self.memory, self.bridge, self.now_ms, registry, subscribed=True)
        work.observe([world.observation(n, v, observed_ms=self.now_ms, received_ms=self.now_ms) for n, v in values])
        work.tick()
        self.owed += work.owed
        self.transitions += [t.change for t in work.transitions]
        work.swap_in()
        return work

    @property
    def state(self) -> ChannelState:
        return self.memory.states.get((TENANT, STATION, "water_level"), ChannelState())


def told(town: Town, name: str) -> list[str]:
    return [str(json.loads(o.body)["change"]) for o in town.owed if o.recipient == name]


def raised(*recipients: str) -> Town:
    """At evacuation (rank 3), of which the recipients were told."""
    town, registry = Town(*recipients), world.registry()
    for n in range(1, 5):
        town.batch(registry, (n, 2.4), at_s=60)
    town.batch(registry, (5, 2.6), at_s=60)
    town.batch(registry, (6, 2.6), at_s=60)
    assert town.state.rank == 3
    return town


def test_a_rank_that_is_shown_is_not_told_again() -> None:
    """The same stations under another registry, and a threshold that moved a little: nobody hears anything."""
    town = raised("duty")
    before = len(town.owed)
    town.batch(world.registry(), (7, 2.6), at_s=60)
    moved = world.registry(world.station(channels=[world.channel(thresholds=world.EVERY | {"evacuation": 2.55})]))
    town.batch(moved, (8, 2.6), at_s=60)
    town.batch(moved, (9, 2.6), at_s=60)
    assert [json.loads(o.body)["change"] for o in town.owed[before:] if json.loads(o.body)["rings"]] == []
    assert (town.state.rank, town.transitions.count(Change.RISE)) == (3, 2)


def test_a_lower_threshold_acts_at_the_next_sample() -> None:
    """Calm by the former thresholds; by the new ones the next sample is a danger and is told once."""
    town = Town("duty")
    for n in range(1, 4):
        town.batch(world.registry(), (n, 1.5), at_s=60)
    assert told(town, "duty") == []
    lower = world.registry(world.station(channels=[world.channel(thresholds={"danger": 1.2})]))
    town.batch(lower)
    assert town.state.rank == 0
    town.batch(lower, (4, 1.5), at_s=59)
    town.batch(lower, (5, 1.5), at_s=60)
    assert (told(town, "duty").count("rise"), town.state.rank) == (1, 4)


def test_a_station_taken_out_has_its_alert_ended_and_told() -> None:
    """Whoever was told is told once more, without a ring; the topic says unknown; its silence is nobody's matter."""
    town = raised("duty", "mayor")
    town.owed.clear()
    town.transitions.clear()
    other = world.registry(world.station("harbour", "harbour-01"))
    work = town.batch(other)
    assert [e.closed_ms for e in work.episodes.values()] == [town.now_ms]
    assert (told(town, "duty"), told(town, "mayor")) == (["closed"], ["closed"])
    said = json.loads(town.owed[0].body)
    assert (said["rings"], said["condition"], "春日橋" in said["text"]["ja"]) == (False, "unknown", True)
    assert [json.loads(o.body)["change"] for o in town.owed if o.medium == "mqtt"] == ["removed"]
    town.owed.clear()
    for _ in range(20):
        town.batch(other, at_s=600)
    assert not [o for o in town.owed if f"/{STATION}/" in o.key]
    assert town.memory.episodes.keys().isdisjoint({(TENANT, STATION)})


def test_a_station_that_was_taken_out_while_no_bridge_ran() -> None:
    """The first batch of a process ends its alert too; who was told is told, by its name in the files."""
    memory = Memory("store")
    course = Course(told=(Told("duty", True),))
    memory.episodes[(TENANT, "gone")] = Episode(TENANT, "gone", "gone.1", T0, 4, course=course)
    memory.states[(TENANT, "gone", "water_level")] = ChannelState(rank=4)
    work = world.work(memory, replace(OLD, recipients=(hook("duty"),)), T0)
    work.tick()
    assert sorted(o.recipient for o in work.owed if "gone" in o.key) == ["_alerts", "duty"]
    work.swap_in()
    again = world.work(memory, OLD, T0 + 1000, work.rules.registry)
    again.tick()
    assert [o for o in again.owed if "gone" in o.key] == []


def test_a_station_that_comes_back_begins_anew() -> None:
    """Nothing of its former rank is left: a sample above a threshold is told as new."""
    town = raised("duty")
    town.batch(world.registry(world.station("harbour", "harbour-01")))
    town.owed.clear()
    town.batch(world.registry(), at_s=86_400)
    assert town.state.rank == 0
    for n in range(20, 23):
        town.batch(world.registry(), (n, 3.1), at_s=60)
    assert "rise" in told(town, "duty")


def test_a_contract_that_is_new_begins_at_the_swap() -> None:
    """An added station, and one that is to report ten times as often, are unknown until they have had their time."""
    town, hourly = Town("duty"), world.channel(thresholds=world.EVERY, interval_s=600)
    slow = world.registry(world.station(channels=[hourly]))
    town.batch(slow, (1, 1.0), at_s=3600)
    more = world.registry(world.station(), world.station("harbour", "harbour-01"))
    town.batch(more, at_s=580)  # silent for long by the new contract, not by the former
    added = town.memory.states[(TENANT, "harbour", "water_level")]
    assert (town.state.lost_ms, added.lost_ms, added.since_ms) == (None, None, town.now_ms)
    town.batch(more, at_s=100)
    assert (town.state.condition, town.state.lost_ms) == (Condition.UNKNOWN, None)
    for _ in range(4):
        town.batch(more, at_s=100)
    assert (town.state.condition, town.state.lost_ms is not None) == (Condition.SILENT, True)


# --- who delivers ------------------------------------------------------------------------------------------------


class Post:
    """Deliverers on a store, with what they report."""

    def __init__(self, path: Path) -> None:
        self.path, self.outcomes = path, list[Outcome]()
        self.store = Store(path)
        self.memory = self.store.load()
        topic = AlertTopic(lambda _topic, _body: None)  # type: ignore[arg-type, return-value]
        self.deliverers = Deliverers(path, topic, self.outcomes.append, lambda: T0, DISK)

    def bridge(self, *recipients: settings.Recipient) -> settings.Bridge:
        return world.bridge(self.path, recipients=recipients, alert_topic=False)

    def owe(self, *names: str) -> None:
        work = world.work(self.memory, self.bridge())
        for i, name in enumerate(names):
            body = {"key": f"k{i}", "rank": 3, "subject": {"ja": "", "en": ""}, "text": {"ja": "", "en": ""}}
            work.owed.append(Owed(f"k{i}/{name}", "webhook", name, json.dumps(body), T0))
        self.store.commit(work)
        work.swap_in()
        self.deliverers.wake(set(names))

    def states(self) -> list[tuple[str, str]]:
        return [(o.recipient, o.state) for o in self.outcomes]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    found = Post(tmp_path / "store.db")
    try:
        yield found
    finally:
        found.deliverers.stop()
        found.store.close()


def test_a_recipient_with_another_address_takes_over_what_is_owed(post: Post) -> None:
    """What its former address did not take leaves at once by the new one, not when its turn would have come; once."""
    with http_server(lambda _: Reply(500)) as broken, http_server(lambda _: Reply(200)) as sound:
        post.deliverers.adopt(post.bridge(hook("duty", f"{broken.url}/")), world.registry())
        post.deliverers.start()
        post.owe("duty")
        servers.wait_for("several tries", lambda: len(broken.requests) >= 2)
        post.deliverers.adopt(post.bridge(hook("duty", f"{sound.url}/")), world.registry())
        servers.wait_for("a delivery", lambda: ("duty", "sent") in post.states())
        assert len(sound.requests) == 1


def test_what_is_owed_to_one_who_was_taken_out_is_given_up(post: Post) -> None:
    """Every row has its outcome, with the reason; the others are served, and nobody is told twice."""
    with http_server(lambda _: Reply(500)) as broken, http_server(lambda _: Reply(200)) as sound:
        both = hook("gone", f"{broken.url}/"), hook("duty", f"{sound.url}/")
        post.deliverers.adopt(post.bridge(*both), world.registry())
        post.deliverers.start()
        post.owe("gone", "duty", "gone")
        servers.wait_for("a try", lambda: broken.requests)
        for _ in range(3):
            post.deliverers.adopt(post.bridge(both[1]), world.registry())
        servers.wait_for("given up", lambda: post.states().count(("gone", "given_up")) == 2)
        servers.wait_for("a delivery", lambda: ("duty", "sent") in post.states())
        time.sleep(0.1)
        assert len(sound.requests) == 1
        assert {o.reason for o in post.outcomes if o.state == "given_up"} == {"refused_address: configured no longer"}


def test_an_unknown_device_is_known_after_the_swap() -> None:
    """By the same memory: a device that was nobody's is some station's from the next batch on."""
    town = Town()
    other = world.registry(world.station("harbour", "harbour-01"))
    first = world.work(town.memory, town.bridge, T0 + 3000, other)
    first.take(world.message(world.pack(world.sample(1, 1.0))))
    assert (first.counts["accepted"], [x.code.value for x in first.letters]) == (0, ["unknown_device"])
    second = world.work(town.memory, town.bridge, T0 + 4000, world.registry())
    second.take(world.message(world.pack(world.sample(2, 1.0))))
    assert (second.counts["accepted"], DEVICE in str(second.due)) == (1, True)
