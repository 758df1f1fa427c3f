"""How stations stand in one row each: never better than what is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway import board, boardfile
from gateway.board import Latest
from gateway.channelstate import ChannelState
from gateway.model import Condition, Flag
from gateway.stations import Channel, Registry, Station
from tests import world
from tests.places import AYAGAWA, LEVELS, MINUTE, T0, TEN_MINUTES, WATER_LEVEL, graded, station

NOW = T0 + 60 * MINUTE


def of(state: ChannelState, where: Station | None = None, now_ms: int = NOW) -> board.Row:
    where = where or graded(*AYAGAWA)
    return board.row(LEVELS, where, {("kagawa", where.id, "water_level"): state}, {}, now_ms)


def seen(value: float, minutes_ago: float = 2, **changes: object) -> ChannelState:
    at_ms = NOW - round(minutes_ago * MINUTE)
    recent = tuple((at_ms - (6 - i) * 10 * MINUTE, value - 0.1 * (6 - i)) for i in range(7))
    state = ChannelState(condition=Condition.FRESH, last_ms=at_ms, usable_ms=at_ms, value=value, recent=recent)
    return ChannelState(**{k: getattr(state, k) for k in state.__struct_fields__} | changes)


def test_a_rising_river() -> None:
    """Distance to the next threshold, what is reached, change and trend, and when the next is reached."""
    x = of(seen(3.5, rank=2))
    assert (x.rank, x.level.key if x.level else None, x.trend) == (2, "caution", "up")
    assert x.reached is not None
    assert (x.reached.level.key, x.reached.distance) == ("caution", pytest.approx(-0.75))
    assert x.next is not None
    assert (x.next.level.key, x.next.distance) == ("evacuation", pytest.approx(0.45))
    assert (x.change_10min, x.change_1h, x.per_h) == (pytest.approx(0.1), pytest.approx(0.6), pytest.approx(0.6))
    assert x.to_next_min == pytest.approx(43.0)
    assert not x.unseen


@pytest.mark.parametrize(
    ("minutes_ago", "rank", "condition"),
    [
        (2, 0, Condition.FRESH),
        (16, 0, Condition.LATE),
        (31, 0, Condition.SILENT),
        (14, 2, Condition.FRESH),
        (16, 2, Condition.SILENT),
    ],
)
def test_what_the_bridge_wrote_grows_old(minutes_ago: float, rank: int, condition: Condition) -> None:
    """A stopped bridge leaves no calm behind: by age alone fresh becomes late and late silent."""
    x = of(seen(1.0, minutes_ago, rank=rank))
    assert x.condition is condition
    calm = condition is Condition.FRESH and rank == 0
    assert (x.level is not None and x.level.rank == 0) == calm, "normal is said of fresh data only"
    assert (x.change_1h is None) == (condition is Condition.SILENT), "an old trend is none"


def test_never_heard() -> None:
    """A station that never said anything is unknown, not calm."""
    x = board.row(LEVELS, graded(*AYAGAWA), {}, {}, NOW)
    assert (x.condition, x.level, x.value, x.unseen) == (Condition.UNKNOWN, None, None, True)


def test_held_at_the_crest() -> None:
    """A gauge that was lost keeps its rank and is among what nobody sees."""
    x = of(seen(4.1, 50, rank=4, held=True, lost=True, condition=Condition.SILENT))
    assert (x.rank, x.held, x.unseen, x.trend) == (4, True, True, None)
    assert x.level is not None
    assert x.level.key == "danger"


def test_the_order_of_the_eye() -> None:
    """Ranks from 2 on, then what is not seen, then what is late, then calm, then maintenance."""
    stories = {
        "calm": seen(1.0),
        "danger": seen(4.1, rank=4),
        "doubt": seen(4.5, unconfirmed=5),
        "late": seen(1.0, 16),
        "silent": seen(1.0, 90, condition=Condition.SILENT),
        "caution": seen(2.8, rank=2),
        "work": ChannelState(condition=Condition.MAINTENANCE),
    }
    registry = Registry([station(name, "gw", WATER_LEVEL) for name in stories], LEVELS)
    states = {("kagawa", name, "water_level"): state for name, state in stories.items()}
    found = [x.station.id for x in board.rows(registry, states, {}, NOW)]
    assert found == ["doubt", "danger", "caution", "silent", "late", "calm", "work"]
    assert board.unseen(board.rows(registry, states, {}, NOW)) == 1


def test_the_worst_of_several_channels_speaks() -> None:
    """Another channel that nobody sees is named."""
    second = replace(WATER_LEVEL, name="second")
    where = station("kamogawa", "gw", WATER_LEVEL, second)
    states = {("kagawa", "kamogawa", "water_level"): seen(1.0), ("kagawa", "kamogawa", "second"): seen(4.1, rank=4)}
    x = board.row(LEVELS, where, states, {}, NOW)
    assert (x.channel.name if x.channel else None, x.rank, x.blind) == ("second", 4, ())
    states["kagawa", "kamogawa", "second"] = seen(1.0, 90, condition=Condition.SILENT)
    x = board.row(LEVELS, where, states, {}, NOW)
    assert (x.channel.name if x.channel else None, x.blind) == ("water_level", ("second",))


def test_a_station_without_levels() -> None:
    """Only the age of its first channel is judged; what is internal is not shown at all."""
    internal = Channel("latitude", "latitude", TEN_MINUTES, internal=True)
    where = station("roof", "gw", internal, Channel("air_temperature", "air_temperature", TEN_MINUTES))
    newest = {("kagawa", "roof", "air_temperature"): Latest(NOW - MINUTE, NOW, 21.5, Flag.GOOD, None, "gw")}
    x = board.row(LEVELS, where, {}, newest, NOW)
    assert (x.condition, x.value, x.rank, x.channel.name if x.channel else None) == (
        Condition.FRESH,
        21.5,
        0,
        "air_temperature",
    )
    assert board.row(LEVELS, where, {}, newest, NOW + 60 * MINUTE).condition is Condition.SILENT
    assert board.row(LEVELS, station("car", "gw", internal), {}, {}, NOW).channel is None


def test_as_it_stands_in_the_store(tmp_path: Path) -> None:
    """The newest of each channel, the states, and when the bridge last got anything."""
    path = tmp_path / "store.db"
    world.add(path, [world.observation(n, 1.0 + n / 100) for n in range(1, 6)])
    found = boardfile.read(path, world.registry(), world.T0 + 6000)
    ((series, newest),) = found.latest.items()
    assert (series[2], newest.value, newest.observed_ms) == ("water_level", 1.05, world.T0 + 5000)
    assert [x.condition for x in found.rows] == [Condition.UNKNOWN], "nothing was judged yet"
    assert found.received_ms == world.T0 + 5250
    assert (found.episodes, found.suspensions) == ([], [])
