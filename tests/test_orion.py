"""Pushing to a context broker: what an answer means, that nothing older ever goes over what is newer, and that one
refused entity costs itself alone. Against the receiver on loopback, which enforces Orion's rules."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway import config, ngsi, orionstanding, settings
from gateway.board import Latest, Row
from gateway.bridge import ngsiclient, orion
from gateway.bridge.ngsiclient import Answer, Fate, classify
from gateway.bridge.orion import Pusher
from gateway.bridge.outlets import Outlets
from gateway.bridge.store import Store
from gateway.disk import DISK
from gateway.errors import Unavailable
from gateway.instants import iso, parse
from gateway.model import Condition
from gateway.ngsi import Entity
from gateway.stations import Channel
from simulators.contextbroker import ContextBroker
from tests import world
from tests.servers import wait_for
from tests.world import T0, TENANT

NAMES = ("kasuga", "harbour", "mure")


@pytest.fixture(scope="module")
def running() -> Iterator[ContextBroker]:
    found = ContextBroker()
    yield found
    found.stop()


@pytest.fixture
def broker(running: ContextBroker) -> ContextBroker:
    running.clear()
    return running


@pytest.fixture
def to(broker: ContextBroker) -> settings.Orion:
    return settings.Orion(broker.url, "takamatsu", token="t0ken", batch=2, timeout_s=5.0)


class Town:
    """Stations, whose newest observations the test sets: name -> (ms, value)."""

    def __init__(self, *names: str) -> None:
        self.newest = dict.fromkeys(names or NAMES, (T0, 1.0))
        self.readable, self.rank = True, 0

    def __call__(self) -> list[Entity]:
        if not self.readable:
            raise Unavailable("cannot read the store")
        return [self.entity(name) for name in self.newest]

    def entity(self, name: str) -> Entity:
        at_ms, value = self.newest[name]
        station = world.station(name)
        seen = {(TENANT, name, "water_level"): Latest(at_ms, at_ms, value, 1, None, "d")}
        return ngsi.entity(Row(station, station.main_channel, Condition.FRESH, rank=self.rank), seen, T0)

    def id(self, name: str) -> str:
        return self.entity(name).id


def level(broker: ContextBroker, town: Town, name: str, path: str = "/") -> tuple[object, int] | None:
    """(value, ms) of a station at the broker."""
    found = broker.entities.get(("takamatsu", path, town.id(name)))
    if found is None:
        return None
    return found["currentLevel"]["value"], parse(found["currentLevel"]["metadata"]["TimeInstant"]["value"])


def never_older(broker: ContextBroker) -> None:
    """Of each attribute with a time, every one that was written is at least as new as the one before."""
    last: dict[object, int] = {}
    for place, name, instant, _ in broker.done:
        if instant is not None:
            assert parse(instant) >= last.get((place, name), 0), (place, name)
            last[place, name] = parse(instant)


@pytest.mark.parametrize(
    ("status", "retry_after", "answer"),
    [
        (204, None, Answer(Fate.ACCEPTED)),
        (201, None, Answer(Fate.ACCEPTED)),
        (400, None, Answer(Fate.HALVE, "400")),
        (413, None, Answer(Fate.HALVE, "413")),
        (422, None, Answer(Fate.HALVE, "422")),
        (429, "7", Answer(Fate.KEEP, "429", 7.0)),
        (503, "99999", Answer(Fate.KEEP, "503", 3600.0)),
        (503, "soon", Answer(Fate.KEEP, "503")),
        (503, "inf", Answer(Fate.KEEP, "503")),
        (503, "Wed, 25 Nov 2026 03:01:30 GMT", Answer(Fate.KEEP, "503", 90.0)),  # by the server's own clock
        (503, "Wed, 25 Nov 2026 02:00:00 GMT", Answer(Fate.KEEP, "503", 0.0)),
        (429, "Wed, 25 Nov 2099 03:01:30 GMT", Answer(Fate.KEEP, "429", 3600.0)),
        (503, "Wed, 45 Nov 2026 03:01:30 GMT", Answer(Fate.KEEP, "503")),
        *((status, None, Answer(Fate.KEEP, str(status))) for status in (302, 401, 403, 404, 408, 500, 502)),
    ],
)
def test_what_an_answer_means(status: int, retry_after: str | None, answer: Answer) -> None:
    """Every status has one of three fates."""
    assert replace(classify(status, b"", retry_after, "Wed, 25 Nov 2026 03:00:00 GMT"), status=0) == answer
    assert classify(429, b"", "Fri, 01 Jan 2100 00:00:00 GMT").wait_s == 3600.0, "a server without a clock"


def test_every_station_is_there_in_batches(broker: ContextBroker, to: settings.Orion) -> None:
    """By service and path, with the token in its header; a second round sends nothing."""
    town, pushing = Town(), Pusher(replace(to, service_path="/flood"), Town())
    assert pushing.round() == to.every_s
    assert broker.batches == [2, 1]
    assert set(broker.tokens) == {"t0ken"}
    assert {name: level(broker, town, name, "/flood") for name in NAMES} == dict.fromkeys(NAMES, (1.0, T0))
    pushing.round()
    assert (len(broker.batches), pushing.waiting, pushing.rejected, pushing.failing) == (2, 0, {}, None)


def test_only_what_is_newer_goes(broker: ContextBroker, to: settings.Orion) -> None:
    """Of one station that measured again its level alone; what became older, as by a restored store, never."""
    town = Town()
    pushing = Pusher(to, town)
    pushing.round()
    before = len(broker.done)
    town.newest["mure"], town.newest["harbour"] = (T0 + 1000, 2.0), (T0 - 1000, 9.0)
    pushing.round()
    assert {(place[2], name) for place, name, *_ in broker.done[before:]} == {
        (town.id("mure"), "currentLevel"),
        (town.id("mure"), "dateObserved"),
    }
    assert level(broker, town, "harbour") == (1.0, T0)


def test_a_restart_learns_what_the_broker_has(broker: ContextBroker, to: settings.Orion) -> None:
    """A new process with an older store sends nothing; one with a newer observation sends just that."""
    town = Town()
    town.newest["kasuga"] = (T0 + 5000, 3.0)
    Pusher(to, town).round()
    before = len(broker.done)
    town.newest["kasuga"] = (T0, 1.0)
    Pusher(to, town).round()
    assert len(broker.done) == before
    town.newest["kasuga"] = (T0 + 6000, 3.1)
    Pusher(to, town).round()
    assert level(broker, town, "kasuga") == (3.1, T0 + 6000)
    assert len(broker.done) == before + 2


@pytest.mark.parametrize("mode", ["401", "403", "404", "408", "429", "500", "503", "drop", "swallow"])
def test_what_is_kept_goes_later_as_it_is_then(broker: ContextBroker, to: settings.Orion, mode: str) -> None:
    """While it lasts the stations wait and somebody can be told; afterwards the present values go, not the former."""
    town = Town()
    pushing = Pusher(to, town, backoff_s=(1.0, 2.0))
    pushing.round()
    broker.mode = mode
    rests = []
    for n in (1, 2, 3):
        town.newest["mure"] = (T0 + n, float(n))
        rests.append(pushing.round())
    assert rests == [1.0, 2.0, 2.0]
    assert (pushing.waiting, pushing.rejected) == (1, {})
    assert pushing.failing is not None
    broker.mode, done = "", len(broker.done)
    town.newest["mure"] = (T0 + 4, 4.0)
    pushing.round()
    sent = [value for _, name, _, value in broker.done[done:] if name == "currentLevel"]
    assert sent == [4.0]
    assert (pushing.waiting, pushing.failing) == (0, None)
    never_older(broker)


def test_retry_after_is_kept(broker: ContextBroker, to: settings.Orion) -> None:
    """A server that names a longer time is left alone for so long."""
    broker.mode, broker.retry_after = "429", "77"
    assert Pusher(to, Town(), backoff_s=(1.0,)).round() == 77.0


def test_one_that_is_refused_costs_itself_alone(
    broker: ContextBroker, to: settings.Orion, caplog: pytest.LogCaptureFixture
) -> None:
    """It is counted, told once, and tried again only when it is another."""
    town = Town()
    broker.refuse = {town.id("harbour")}
    pushing = Pusher(to, town)
    with caplog.at_level(logging.WARNING, orion.__name__):
        for _ in range(3):
            pushing.round()
        assert (pushing.rejected, pushing.waiting, pushing.failing) == ({422: 1}, 0, None)
        assert [name for name, _ in pushing.standing.refuses] == [town.id("harbour")]
        assert [level(broker, town, name) for name in NAMES] == [(1.0, T0), None, (1.0, T0)]
        town.newest["harbour"] = (T0 + 1, 2.0)
        pushing.round()
        assert pushing.rejected == {422: 2}
    assert len([r for r in caplog.records if "refuses" in r.getMessage()]) == 1
    broker.refuse = set()
    town.newest["harbour"] = (T0 + 2, 3.0)
    pushing.round()
    assert level(broker, town, "harbour") == (3.0, T0 + 2)
    assert pushing.standing.refuses == ()


def test_what_is_too_large_is_halved(broker: ContextBroker, to: settings.Orion) -> None:
    """Until it fits; everything arrives."""
    broker.max_body = 2500
    pushing = Pusher(replace(to, batch=100), Town(*(f"s{n}" for n in range(13))))
    pushing.round()
    assert sum(broker.batches) == 13
    assert max(broker.batches) < 13
    assert pushing.rejected == {}


def test_a_broker_that_lost_everything_is_filled_again(broker: ContextBroker, to: settings.Orion) -> None:
    """After an outage it is asked what it has."""
    town = Town()
    pushing = Pusher(to, town)
    pushing.round()
    broker.mode = "503"
    town.newest["mure"] = (T0 + 1, 1.0)
    pushing.round()
    broker.clear()
    pushing.round()
    assert [level(broker, town, name) for name in NAMES] == [(1.0, T0), (1.0, T0), (1.0, T0 + 1)]


def test_what_is_done_late_does_not_stay(broker: ContextBroker, to: settings.Orion) -> None:
    """A batch without an answer that the broker carries out minutes later puts an older value over the newer one; it is
    asked again, and the present value is written again."""
    town, clock = Town("mure"), [1000.0]
    pushing = Pusher(to, town, steady_s=lambda: clock[0])
    pushing.round()
    broker.mode, town.newest["mure"] = "late", (T0 + 1, 1.5)
    pushing.round()
    broker.mode, town.newest["mure"] = "", (T0 + 2, 2.0)
    for _ in range(4):
        pushing.round()
    assert level(broker, town, "mure") == (2.0, T0 + 2)
    broker.carry_out()
    assert level(broker, town, "mure") == (1.5, T0 + 1)
    for seconds in (1, 30, 91, 480):
        clock[0] += seconds
        pushing.round()
    assert level(broker, town, "mure") == (2.0, T0 + 2)


def rain(internal: bool = False) -> Channel:
    return replace(world.channel("rain", "rain"), internal=internal)


class Site(Town):
    """One station with a level and whatever else."""

    def __init__(self, *channels: Channel) -> None:
        super().__init__("kasuga")
        self.channels = channels

    def entity(self, name: str) -> Entity:
        station = world.station(name, channels=[world.channel(thresholds=world.EVERY), *self.channels])
        seen = {(TENANT, name, c): Latest(T0, T0, 1.0, 1, None, "d") for c in station.channels}
        return ngsi.entity(Row(station, station.main_channel, Condition.FRESH), seen, T0)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("now", [(), (rain(internal=True),)])
def test_what_may_no_longer_leave_is_deleted(
    broker: ContextBroker, to: settings.Orion, now: tuple[Channel, ...], restarted: bool
) -> None:
    """A channel that was removed, or is internal from now on, leaves no last value at the broker, also where the bridge
    was stopped meanwhile; what others put beside it stays."""
    site = Site(rain(), world.channel("battery_voltage"))
    pushing = Pusher(to, site)
    pushing.round()
    there = broker.entities["takamatsu", "/", site.id("kasuga")]
    before = set(there)
    there["ward"] = {"type": "Text", "value": "east", "metadata": {}}
    site.channels = (*now, world.channel("battery_voltage"))
    pushing = Pusher(to, site) if restarted else pushing
    pushing.round()
    assert before - set(there) == {ngsi.safe_name(x) for x in before if "rain" in x.lower() or "precip" in x.lower()}
    assert len(before - set(there)) == 1
    assert "ward" in there
    done = len(broker.batches)
    pushing.round()
    assert len(broker.batches) == done


def test_a_station_that_is_gone_is_deleted(broker: ContextBroker, to: settings.Orion) -> None:
    """By its record, also after a restart; nothing is deleted that this bridge does not know to be its own."""
    town = Town()
    pushing = Pusher(to, town)
    pushing.round()
    foreign = ("takamatsu", "/", "urn:ngsi-ld:FloodMonitoring:takamatsu:of-others")
    broker.entities[foreign] = {"id": foreign[2], "type": "FloodMonitoring"}
    harbour, mure = town.id("harbour"), town.id("mure")
    del town.newest["harbour"]
    pushing.round()
    assert {place[2] for place in broker.entities} == {town.id("kasuga"), mure, foreign[2]}
    del town.newest["mure"]
    broker.mode = "503"
    pushing.round()
    assert pushing.made[TENANT].keys() == {town.id("kasuga"), mure}
    broker.mode = ""
    after = Pusher(to, town, made=pushing.made)
    after.round()
    assert {place[2] for place in broker.entities} == {town.id("kasuga"), foreign[2]}
    assert after.made == {TENANT: {town.id("kasuga"): "FloodMonitoring"}}
    assert harbour not in str(after.made)


def test_what_it_will_not_delete_is_said_once(
    broker: ContextBroker, to: settings.Orion, caplog: pytest.LogCaptureFixture
) -> None:
    """And what somebody else has deleted meanwhile is no failure."""
    site = Site(rain())
    pushing = Pusher(to, site)
    pushing.round()
    there = broker.entities["takamatsu", "/", site.id("kasuga")]
    kept = dict(there)
    site.channels, broker.refuse = (), {site.id("kasuga")}
    pushing.round()
    pushing.round()
    assert (pushing.rejected, pushing.failing, there.keys()) == ({422: 1}, None, kept.keys())
    assert len([r for r in caplog.records if "refuses" in r.getMessage()]) == 1
    broker.refuse, site.channels = set(), (rain(),)
    pushing = Pusher(to, site)
    pushing.round()
    for name in [x for x in there if "rain" in x.lower() or "precip" in x.lower()]:
        del there[name]
    site.channels = ()
    pushing.round()
    assert (pushing.failing, pushing.rejected) == (None, {})


def test_how_it_stands_is_kept_for_others(broker: ContextBroker, to: settings.Orion, tmp_path: Path) -> None:
    """In the store, for the command line and the page, and what stands at the broker for the bridge that begins next; a
    round that only found the broker there is noted once a minute."""
    store, now = Store(tmp_path / "store.db"), [T0]
    bridge = world.bridge(tmp_path / "store.db", orion=to)
    kept: list[str] = []

    def keep(key: str, text: str) -> bool:
        kept.append(key)
        return store.note(key, text)

    outlets = Outlets(bridge, world.registry, lambda: now[0], DISK, keep=keep)
    pushing = outlets.orion
    assert pushing is not None
    broker.mode = "503"
    pushing.round()
    outlets.conditions(Work())  # type: ignore[arg-type]
    found = orionstanding.read(tmp_path / "store.db")
    assert found is not None
    assert (found.waiting, found.since_ms, found.answer_ms) == (1, T0, T0)
    assert (found.reason or "").startswith("503")
    broker.mode, now[0] = "", T0 + 1000
    pushing.round()
    outlets.conditions(Work())  # type: ignore[arg-type]
    found = orionstanding.read(tmp_path / "store.db")
    assert found == orionstanding.Standing(answer_ms=T0 + 1000)
    assert kept == ["orion", "orion_made", "orion"]
    for seconds in (10, 20, 90):
        now[0] = T0 + seconds * 1000
        pushing._rounds = orion.ASK_ROUNDS - 1  # it asks, and finds everything
        pushing.round()
        outlets.conditions(Work())  # type: ignore[arg-type]
    assert kept == ["orion", "orion_made", "orion", "orion"]
    again = Outlets(bridge, world.registry, lambda: now[0], DISK).orion
    assert again is not None
    assert again.made == pushing.made
    assert list(again.made) == [TENANT]
    store.close()


class Work:
    """Takes notices."""

    def notice(self, *_: object, **__: object) -> None:
        """Of no interest here."""


def test_a_broker_is_asked_again_now_and_then(
    broker: ContextBroker, to: settings.Orion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody deleted there, or an older database has in its place, is the present again without a failure."""
    monkeypatch.setattr(orion, "ASK_ROUNDS", 3)
    town = Town("mure")
    pushing = Pusher(to, town)
    town.newest["mure"] = (T0 + 1, 2.0)
    pushing.round()
    there = broker.entities["takamatsu", "/", town.id("mure")]
    del there["location"]
    there["currentLevel"] = {
        "type": "Number", "value": 1.0, "metadata": {"TimeInstant": {"type": "DateTime", "value": iso(T0)}},
    }  # fmt: skip
    pushing.round()
    assert level(broker, town, "mure") == (1.0, T0)
    pushing.round()
    assert level(broker, town, "mure") == (2.0, T0 + 1)
    assert "location" in there
    assert (len(broker.batches), pushing.failing) == (2, None)


def test_a_page_is_no_acknowledgement_of_a_batch() -> None:
    """A portal that gets in between while all is well: nothing counts as taken, and it goes later."""
    town = Town("mure")
    with world.http_server(lambda r: world.Reply(200, b"<html>sign in</html>" if r.body else b"[]")) as server:
        pushing = Pusher(settings.Orion(server.url), town, backoff_s=(0.5,))
        assert pushing.round() == 0.5
        assert (pushing.failing, pushing.waiting) == ("its answer is not that of a context broker", 1)
        pushing.round()
        assert len([r for r in server.requests if r.body]) == 2


def test_who_is_no_context_broker_gets_nothing() -> None:
    """A page with 200, as portals show it, is no acknowledgement."""
    with world.http_server(lambda _: world.Reply(200, b"<html>sign in</html>")) as server:
        pushing = Pusher(settings.Orion(server.url), Town())
        pushing.round()
        assert pushing.failing == "its answer is not that of a context broker"
        assert pushing.waiting == 3
        assert all(r.path.startswith("/v2/entities?") for r in server.requests)


def test_an_answer_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up where it is longer than any that a broker could give."""
    monkeypatch.setattr(ngsiclient, "MAX_ANSWER", 1000)
    with world.http_server(lambda _: world.Reply(200, b"[" + b" " * 100_000 + b"]")) as server:
        pushing = Pusher(settings.Orion(server.url), Town())
        pushing.round()
        assert pushing.failing == "an answer without an end"


def test_a_store_that_cannot_be_read_is_waited_for(broker: ContextBroker, to: settings.Orion) -> None:
    """Nothing is sent, and the thread goes on."""
    town = Town()
    town.readable = False
    pushing = Pusher(to, town, backoff_s=(0.5,))
    assert pushing.round() == 0.5
    town.readable = True
    assert pushing.round() == to.every_s
    assert pushing.failing is None


def test_tenants_have_services_of_their_own(broker: ContextBroker, to: settings.Orion) -> None:
    """One that has none while others do is not pushed: it would stand in the wrong house."""
    Pusher(replace(to, service="", services={TENANT: "city"}), Town("mure")).round()
    assert {place[0] for place in broker.entities} == {"city"}
    broker.clear()
    Pusher(replace(to, service="", services={"other": "city"}), Town("mure")).round()
    assert broker.entities == {}


def test_it_follows_by_itself_and_ends(broker: ContextBroker, to: settings.Orion) -> None:
    """As the thread that it is in the bridge."""
    town, beats = Town(), set[str]()
    pushing = Pusher(replace(to, every_s=0.02), town, lambda loop, _: beats.add(loop))
    pushing.start()
    wait_for("the first", lambda: level(broker, town, "mure"))
    town.newest["mure"] = (T0 + 1, 2.0)
    wait_for("the next", lambda: level(broker, town, "mure") == (2.0, T0 + 1))
    pushing.stop()
    assert beats == {"orion"}
    assert "orion" not in [t.name for t in threading.enumerate()]


def test_a_mistake_of_ours_does_not_end_it(broker: ContextBroker, to: settings.Orion) -> None:
    """What nobody thought of is told as a condition, and the next round is tried."""
    town, looks = Town(), iter([ValueError("unthought of")])

    def look() -> list[Entity]:
        for error in looks:
            raise error
        return town()

    pushing = Pusher(replace(to, every_s=0.02), look, backoff_s=(0.02,))
    pushing.start()
    wait_for("the values after it", lambda: level(broker, town, "mure"))
    pushing.stop()
    assert pushing.failing is None


STEP = st.tuples(
    st.sampled_from(NAMES),
    st.integers(0, 20),
    st.sampled_from(["", "", "", "503", "drop", "swallow", "restart", "refuse"]),
)


@hypothesis_settings(max_examples=60)
@given(steps=st.lists(STEP, min_size=1, max_size=12))
def test_nothing_older_ever_goes_over_what_is_newer(running: ContextBroker, steps: list[tuple[str, int, str]]) -> None:
    """Whatever order observations come in, through outages, lost answers, refusals and restarts; at the end the broker
    has the newest of everything that was there to be sent."""
    running.clear()
    to = settings.Orion(running.url, "takamatsu", batch=2, timeout_s=5.0)
    town = Town()
    pushing = Pusher(to, town)
    for name, second, fault in steps:
        town.newest[name] = (T0 + 1000 * second, float(second))
        running.mode = fault if fault not in ("restart", "refuse") else ""
        running.refuse = {town.id(name)} if fault == "refuse" else set()
        if fault == "restart":
            pushing = Pusher(to, town)
        pushing.round()
        never_older(running)
    running.mode, running.refuse = "", set()
    Pusher(to, town).round()
    never_older(running)
    for name, (at_ms, value) in town.newest.items():
        found = level(running, town, name)
        assert found is not None
        assert found[1] >= at_ms
        assert found[1] > at_ms or found[0] == value


# --- bridge.yaml ----------------------------------------------------------------------------------------------------

BRIDGE = "version: 1\nbroker: {host: 127.0.0.1}\norion: "


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{}", "3:1 'url' is missing"),
        (
            '{url: "http://o:1026", service: Takamatsu-shi}',
            "is not a service: a-z, 0-9 and _, at most 50. Did you mean",
        ),
        ('{url: "http://o:1026", services: {takamatsu: 高松}}', "'高松' is not a service"),
        ('{url: "http://o:1026", service_path: flood}', "'flood' is not a service path"),
        ('{url: "http://o:1026", every: 100ms}', "Write at least 1s"),
        ('{url: "http://o:1026", batch: 0}', "0 is below 1"),
        ('{url: "http://o:1026", token_file: none}', "the file that this names cannot be read"),
        ('{url: "http://o:1026", tokens: none}', "unknown key 'tokens'"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, written: str, told: str) -> None:
    """Each with its place."""
    (tmp_path / "bridge.yaml").write_text(BRIDGE + written)
    problems = [f"{p.line}:{p.col} {p.message}" for p in config.check(tmp_path) if p.path.startswith("orion")]
    assert len(problems) == 1, problems
    assert told in problems[0]


def test_the_settings(tmp_path: Path) -> None:
    """Everything that may be stated arrives; the token stands in no text."""
    (tmp_path / "token").write_text("t0ken\n")
    (tmp_path / "bridge.yaml").write_text(
        BRIDGE + '{url: "http://o:1026", service: a, services: {t: b}, service_path: /x, token_file: token, '
        "token_header: Authorization, every: 30s, batch: 7, timeout: 3s}"
    )
    found = config.inspect(tmp_path).bridge
    assert found is not None
    assert found.orion == settings.Orion("http://o:1026", "a", {"t": "b"}, "/x", "t0ken", "Authorization", 30.0, 7, 3.0)
    assert "t0ken" not in repr(found) + orion.describe(found.orion)
