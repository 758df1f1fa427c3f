"""When is silence an alarm? Crisis-management gauges, coin beacons, gauges that die while something goes on, rain and
neighbours, maintenance; told as short stories through the bridge's own batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.bridge.around import Heard, clearly_rising
from gateway.bridge.work import Work
from gateway.channelstate import ALONE, ChannelState
from gateway.episodes import Suspension
from gateway.errors import FaultCode
from gateway.model import Condition, Flag
from gateway.reporting import fresh, tick
from gateway.stations import DAY_S, Channel, Contract, Station
from tests.outages import TENANT, City, gauge
from tests.places import ALL_FIVE, MINUTE, T0, graded, thresholds
from tests.test_alerting import Gauge

HOUR, DAY = 60, 24 * 60
CRISIS = Contract(300.0, 150.0, "crisis", raised_above=0.9, heartbeat_s=DAY_S)
BEACON = Contract(600.0, 300.0, "beacon", router="router", wet_rank=3)


def said(city: City) -> list[str]:
    what = [t.body.get("notice") or f"{t.body['change']} {t.body['rank']}" for t in city.told]
    return [f"{x}{'' if t.rings else ' quiet'}" for x, t in zip(what, city.told, strict=True)]


# --- crisis-management gauges ----------------------------------------------------------------------------------------


def beats(*days: int, level: Callable[[int], float | None] = lambda m: None) -> Callable[[Station, int], float | None]:
    """A health report at noon of these days; between them only what `level` says."""
    return lambda _, m: 0.4 if m % DAY == 720 and m // DAY in days else level(m)


def test_a_calm_week_of_a_crisis_gauge() -> None:
    """It measures, transmits nothing but a health report a day, and nobody hears of it."""
    city = City([gauge("c", contract=CRISIS)], beats(*range(7)))
    city.run(7 * DAY)
    assert city.told == []
    assert city.state("c").condition is Condition.FRESH


def test_a_missed_health_report() -> None:
    """A heartbeat and a quarter after the last one it is silent: told once, without a ring in the calm; and when it has
    been dead for a day, to staff in working hours."""
    city = City([gauge("c", contract=CRISIS)], beats(0, 1))
    city.run(DAY + 720 + 24 * HOUR + 2)
    assert city.state("c").condition is Condition.FRESH
    city.run(DAY + 720 + 30 * HOUR)
    assert (city.told, city.state("c").condition) == ([], Condition.LATE)
    city.run(7 * DAY)
    assert said(city) == ["silent 0 quiet", "long_lost quiet"]


def test_a_crisis_gauge_that_dies_above_its_start_level() -> None:
    """Above it every interval is due: a gauge that then stops is held, and rings."""

    def level(minute: int) -> float | None:
        begun = minute - DAY
        return None if begun < 0 or begun > 60 else 1.0 + begun * 0.03

    city = City([gauge("c", contract=CRISIS)], beats(0, 1, level=level))
    city.run(DAY + 90)
    assert said(city) == ["rise 2", "held 2"]
    assert city.state("c").held


def test_a_health_report_of_a_fault() -> None:
    """A gauge at rest that says it is broken is told at once, not after a day."""
    city = City([gauge("c", contract=CRISIS)], lambda _, m: {720: 0.4, 720 + DAY: FaultCode.SENSOR_ERROR}.get(m))
    city.run(DAY + 725)
    assert said(city) == ["faulty 0 quiet"]


# --- coin beacons ----------------------------------------------------------------------------------------------------


def beacon(name: str, **more: object) -> Station:
    contact = Channel("contact", "contact", BEACON)
    return replace(gauge(name, device="router"), channels={"contact": contact}, hazard="inundation", **more)  # type: ignore[arg-type]


def speaking(city: City, until: Callable[[int], bool]) -> None:
    """The router states its spool every minute while it lives."""

    def hear(work: Work) -> None:
        if until(city.minute):
            work.alerts.hear(TENANT, "router")

    city.before = hear


def test_a_beacon_that_is_wet() -> None:
    """One of five goes silent while its router is heard: an unconfirmed rise to the level it stands for, once; when it
    dries, whoever was told is told."""
    city = City([beacon(f"b{i}") for i in range(5)], lambda s, m: None if s.id == "b2" and 60 <= m < 240 else 0.0)
    speaking(city, lambda _: True)
    city.run(80)
    assert city.told == []
    city.run(200)
    assert said(city) == ["rise 3"]
    assert not city.told[0].body["confirmed"]
    assert "未確認" in city.told[0].body["subject"]["ja"]  # type: ignore[index]
    assert "浸水センサの送信が停止" in city.told[0].body["subject"]["ja"]  # type: ignore[index]
    assert (city.state("b2", "contact").unconfirmed, city.state("b2", "contact").lost) == (3, False)
    city.restart()
    city.run(235)
    assert len(city.told) == 1
    city.run(260)
    assert [t.body["change"] for t in city.told][1:] == ["fall"]


def test_a_beacon_in_rain_is_watched_more_closely() -> None:
    """After one interval and grace instead of two where a neighbour has reached a level."""
    wet = replace(beacon("b1"), neighbours=("river",))
    stations = [wet, beacon("b2"), gauge("river")]
    city = City(stations, lambda s, m: 2.2 if s.id == "river" else None if s.id == "b1" and m > 60 else 0.0)
    speaking(city, lambda _: True)
    city.run(80)
    assert said(city) == ["rise 2", "rise 3"]


def test_a_dead_router_is_no_water() -> None:
    """All five fall silent, and the router with them: one common cause, told without a ring in the calm, and no rise.
    When the router is back and one beacon is not, that one is wet."""

    def measured(s: Station, m: int) -> float | None:
        back = 400 if s.id == "b2" else 300
        return None if 60 <= m < back else 0.0

    city = City([beacon(f"b{i}") for i in range(5)], measured)
    speaking(city, lambda m: m < 60 or m >= 300)
    city.run(290)
    assert said(city) == ["silent 0 quiet"]
    assert city.told[0].body["group"] == "device=router"
    city.run(395)
    wet = [t for t in city.told if t.body["change"] == "rise"]
    assert [(t.body["station"], t.minute) for t in wet] == [("b2", 326)], "it had two intervals and grace to speak"


def test_beacons_prove_their_router() -> None:
    """Where the router is no device, any of its beacons shows that it lives."""
    stations = [replace(beacon(f"b{i}"), device=f"d{i}") for i in range(3)]
    city = City(stations, lambda s, m: None if s.id == "b0" and m > 60 else 0.0)
    city.run(120)
    assert said(city) == ["rise 3"]


def test_a_beacon_never_heard_of_is_not_wet() -> None:
    """Nothing is known of it: silent, not under water."""
    city = City([beacon("b0"), beacon("b1")], lambda s, m: None if s.id == "b0" else 0.0)
    speaking(city, lambda _: True)
    city.run(200)
    assert said(city) == ["silent 0 quiet"]


# --- what goes on around ---------------------------------------------------------------------------------------------


def test_silence_under_rain_rings() -> None:
    """Two intervals and at most 15 minutes, and a ring, while a neighbour is above its first threshold."""
    near = [replace(gauge("a"), neighbours=("b",)), gauge("b"), gauge("c"), gauge("d")]
    city = City(near, lambda s, m: 1.2 if s.id == "b" else None if s.id == "a" and m > 100 else 0.5)
    city.run(125)
    assert said(city)[-1] == "silent 0"
    assert city.told[-1].body["station"] == "a"


def test_a_gauge_known_to_be_silent_rings_when_it_matters() -> None:
    """Lost in the calm it was only told; when its neighbour rises it rings, once, unless a person has seen it."""
    near = [replace(gauge("a"), neighbours=("b",)), *(gauge(x) for x in "bcd")]

    def measured(s: Station, m: int) -> float | None:
        return (None if m > 60 else 0.5) if s.id == "a" else 1.2 if s.id == "b" and m > 300 else 0.5

    city = City(near, measured)
    city.run(290)
    assert said(city) == ["silent 0 quiet"]
    city.run(600)
    assert [t for t in said(city) if t.startswith("silent")] == ["silent 0 quiet", "silent 0"]

    seen = City(near, measured)
    seen.run(200)
    episode = seen.memory.episodes[(TENANT, "a")]
    course = replace(episode.course, acknowledged_ms=T0 + 200 * MINUTE, acknowledged_by="当直")
    seen.memory.episodes[(TENANT, "a")] = replace(episode, course=course)
    seen.run(600)
    assert [t for t in said(seen) if t.startswith("silent")] == ["silent 0 quiet"]


def test_a_gauge_that_comes_and_goes_rings_once_an_hour() -> None:
    """At the same rank; a higher one rings at once."""
    others = [gauge(f"o{i}") for i in range(4)]

    def measured(s: Station, m: int) -> float | None:
        if s.id != "a":
            return 0.5
        return None if m % 40 > 20 else 2.2 if m < 95 else 3.2

    city = City([gauge("a", contract=Contract(60.0, 60.0)), *others], measured)
    city.run(155)
    held = [(t.minute, t.rings, t.body["rank"]) for t in city.told if t.body["change"] == "held"]
    assert [(rings, rank) for _, rings, rank in held] == [(True, 2), (False, 2), (True, 3), (False, 3)], held


def test_what_suspect_data_claimed_is_held() -> None:
    """Unconfirmed rank 4 or more, and then nothing: held as unconfirmed, once, and not below it until data come."""
    gauge_ = Gauge(*ALL_FIVE)
    gauge_.observe(0, 1.0)
    assert gauge_.observe(10, 4.5, Flag.SUSPECT) == ["rise 0->4 unconfirmed"]
    assert gauge_.tick(24) == []
    assert gauge_.tick(26) == ["held 4 unconfirmed"]
    assert (gauge_.state.held, gauge_.state.rank, gauge_.state.unconfirmed) == (True, 0, 4)
    assert gauge_.tick(300) == []
    assert gauge_.observe(310, 1.0)[0] == "restored 0 quiet"
    assert (gauge_.state.held, gauge_.state.unconfirmed) == (False, 0)


def test_support_and_second_sensor() -> None:
    """What is around a channel: a neighbour at a level supports and raises, one that rises clearly supports only; a
    second sensor of the same quantity counts while it is fresh."""
    level = gauge("a").channels["water_level"]
    both = {"water_level": level, "second": replace(level, name="second")}
    station = replace(gauge("a"), channels=both, neighbours=("b", "nowhere"))

    def said(value: Callable[[int], float], until: int = 120, last: int = 10_000) -> tuple[bool, bool, int | None]:
        city = City([station, gauge("b")], lambda s, m: value(m) if s.id == "b" and m <= last else 2.2)
        city.run(until)
        found: list[tuple[bool, bool, int | None]] = []

        def ask(work: Work) -> None:
            context = work.alerts.context(station, level)
            found.append((context.near.support, context.near.raised, context.second_rank))

        city.before = ask
        city.run(until + 1)
        return found[0]

    assert said(lambda _: 0.5) == (False, False, 2)
    assert said(lambda _: 1.2)[:2] == (True, True)
    assert said(lambda m: 0.2 + m * 0.003)[:2] == (True, False)
    assert clearly_rising(((0, 0.5), (HOUR * MINUTE, 0.6)))
    assert not clearly_rising(((0, 0.5), (HOUR * MINUTE, 0.59)))
    assert not clearly_rising(((0, 0.5), (MINUTE, 0.8), (2 * MINUTE, 0.7)))
    assert not clearly_rising(())


def test_rain_raises_the_contract() -> None:
    """A rain channel of the station above its first step, while it is fresh."""
    rain = Channel("rain", "rain", Contract(600.0, 300.0), thresholds=thresholds(caution=10.0))
    station = replace(gauge("a"), channels={**gauge("a").channels, "rain": rain})
    for amount, expected in ((9.0, False), (12.0, True)):
        city = City([station], lambda s, m, x=amount: x)  # type: ignore[misc]
        city.run(40)
        found: list[bool] = []
        ask = lambda work, out=found: out.append(work.alerts.context(station, rain).near.raised)  # noqa: E731
        city.before = ask  # type: ignore[assignment]
        city.run(41)
        assert found == [expected]


# --- maintenance -----------------------------------------------------------------------------------------------------


def under_work(city: City, station: str, until: int) -> None:
    key = ("maintenance", TENANT, station)
    now = T0 + city.minute * MINUTE
    city.memory.suspensions[key] = Suspension("maintenance", TENANT, station, now, T0 + until * MINUTE, "技師")


def test_maintenance() -> None:
    """What is measured is stored with its mark and raises nothing, silence is no loss; afterwards it begins from what
    comes then, and no old silence rings."""

    def measured(s: Station, m: int) -> float | None:
        return 0.5 if s.id != "a" or m < 40 or m >= 200 else 4.8 if m < 90 else None

    city = City([gauge("a"), *(gauge(x) for x in "bcd")], measured)
    city.run(35)
    under_work(city, "a", until=190)
    city.run(60)
    assert (city.state("a").condition, city.state("a").rank, city.state("a").value) == (Condition.MAINTENANCE, 0, 4.8)
    city.run(189)
    assert (city.told, city.state("a").condition) == ([], Condition.MAINTENANCE)
    city.run(192)
    assert city.state("a").condition is Condition.UNKNOWN
    city.run(300)
    assert (city.told, city.state("a").condition, city.state("a").rank) == ([], Condition.FRESH, 0)


def test_what_is_measured_under_maintenance_is_marked() -> None:
    """Its row names `maintenance` beside the tests that spoke; that of another station does not."""
    city = City([gauge("a"), gauge("b")])
    city.run(5)
    under_work(city, "a", until=100)
    marked: dict[str, tuple[str, ...]] = {}

    class Looking:
        def __call__(self, work: Work) -> None:
            o = city._observation(city.registry.stations[(TENANT, "a")], gauge("a").channels["water_level"], T0, 1.0)
            other = replace(o, station="b", device="b-gw")
            marked["a"], marked["b"] = work.alerts.marked(o).tests, work.alerts.marked(other).tests

    city.before = Looking()
    city.run(6)
    assert marked == {"a": ("maintenance",), "b": ()}


def test_silence_after_maintenance_counts_from_its_end() -> None:
    """A gauge that was left switched off is told when its contract is broken anew, not at once."""
    city = City([gauge("a"), *(gauge(x) for x in "bcd")], lambda s, m: 0.5 if s.id != "a" or m < 40 else None)
    city.run(35)
    under_work(city, "a", until=300)
    city.run(325)
    assert city.told == []
    city.run(345)
    assert said(city) == ["silent 0 quiet"]


def test_maintenance_takes_what_was_open() -> None:
    """A station at rank 2 that is put under maintenance has nothing open any more; one at rank 4 keeps its episode for
    a person to close."""
    for level, kept in ((2.2, False), (4.2, True)):
        city = City([gauge("a"), gauge("b")], lambda s, m, v=level: v if s.id == "a" else 0.5)  # type: ignore[misc]
        city.run(35)
        assert (TENANT, "a") in city.memory.episodes
        under_work(city, "a", until=300)
        city.run(50)
        assert ((TENANT, "a") in city.memory.episodes) is kept
        assert city.state("a").rank == 0


# --- small things ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "state", "expected"),
    [
        ("never heard of", ChannelState(), False),
        ("just now", ChannelState(last_ms=T0), True),
        ("as old as allowed", ChannelState(last_ms=T0 - 15 * MINUTE), True),
        ("older", ChannelState(last_ms=T0 - 16 * MINUTE), False),
        ("of a time that this clock does not reach", ChannelState(last_ms=T0 + 20 * MINUTE), False),
        ("under maintenance", ChannelState(last_ms=T0, condition=Condition.MAINTENANCE), False),
    ],
)
def test_what_needs_no_look(what: str, state: ChannelState, expected: bool) -> None:
    """A channel that spoke in time costs the passing of time nothing, and `tick` says the same."""
    station = graded(*ALL_FIVE)
    channel = station.channels["water_level"]
    assert fresh(state, channel, T0) is expected, what
    if expected:
        assert tick(state, station, channel, T0, 0, None, ALONE) == (state, [])


def test_a_router_with_a_gap_is_heard_anew() -> None:
    """Only without a gap does it count; what it carries is due within 15 minutes, so 12 are none."""
    city = City([beacon("b0"), beacon("b1")], lambda *_: None)
    speaking(city, lambda m: m in (0, 8, 20, 40, 42))
    spans = {}
    for minute in (20, 30, 42):
        city.run(minute)
        heard = city.memory.heard.get((TENANT, "router"))
        spans[minute] = heard
    assert spans[30] == Heard(T0, T0 + 20 * MINUTE)
    assert spans[42] == Heard(T0 + 40 * MINUTE, T0 + 42 * MINUTE)
