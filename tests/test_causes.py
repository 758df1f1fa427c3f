"""Common causes of silence: a district is one ring, a single gauge stands alone, nothing is lost silently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import causes
from gateway.causes import HOLD_BACK_MS, LONGEST_MS, Standing, judge
from gateway.errors import FaultCode, NoticeCode
from gateway.model import Change
from gateway.stations import Contract, Group, Station
from tests.outages import TEN_MINUTES, TENANT, City, gauge
from tests.places import MINUTE

NOW = 10_000_000
NORTH_A: Group = (("area", "north"), ("carrier", "A"))


# --- the rule, on one moment -----------------------------------------------------------------------------------------


def standing(station: Station, how: str, found: int = NOW - 3 * MINUTE) -> Standing:
    """`down`: lost; `late`: overdue; `spoke`: since others should have; `quiet`: not due yet; `away`: not counted."""
    word = NOW - (20 * MINUTE if how in ("down", "late", "away") else MINUTE if how == "spoke" else 8 * MINUTE)
    gone = how in ("down", "late")
    return Standing(
        station, word, NOW - 5 * MINUTE if how == "down" else 0, gone, gone, how in ("spoke", "quiet"),
        how in ("spoke", "quiet"), found if how == "down" else None, how != "away",
    )  # fmt: skip


def decide(*rows: tuple[str, str, str], found: int = NOW - 3 * MINUTE) -> tuple[list[str], list[str]]:
    """(area, carrier, how) of stations named 0, 1, …: the groups of the causes with their stations, and the lone."""
    all_of = [standing(gauge(str(i), area=a, carrier=c), how, found) for i, (a, c, how) in enumerate(rows)]
    verdict = judge(
        [s for s in all_of if s.found_ms is not None],
        lambda station, group: [s for s in all_of if group in s.station.groups],
        NOW,
    )
    named = [f"{causes.text_of(g)}:{''.join(s.station.id for s in down)}" for g, down in verdict.causes]
    return named, [s.station.id for s in verdict.alone]


NA, NB, SA = ("north", "A"), ("north", "B"), ("south", "A")


@pytest.mark.parametrize(
    ("what", "rows", "expected"),
    [
        ("one of many", [(*NA, "down")] + [(*NA, "spoke")] * 5, ([], ["0"])),
        ("two of six", [(*NA, "down")] * 2 + [(*NA, "spoke")] * 4, ([], ["0", "1"])),
        ("three of five", [(*NA, "down")] * 3 + [(*NA, "spoke")] * 2, (["area=north|carrier=A:012"], [])),
        ("three of six is not most", [(*NA, "down")] * 3 + [(*NA, "spoke")] * 3, ([], ["0", "1", "2"])),
        ("two lost and two late", [(*NA, "down")] * 2 + [(*NA, "late")] * 2, (["area=north|carrier=A:0123"], [])),
        ("nobody has had to speak yet", [(*NA, "down")] + [(*NA, "quiet")] * 5, ([], [])),
        (
            "one carrier of an area",
            [(*NA, "down")] * 3 + [(*NB, "spoke")] * 3 + [(*SA, "spoke")] * 3,
            (["area=north|carrier=A:012"], []),
        ),
        (
            "the whole area, whatever the carrier",
            [(*NA, "down")] * 3 + [(*NB, "down")] * 3 + [(*SA, "spoke")] * 7,
            (["area=north:012345"], []),
        ),
        (
            "a carrier everywhere",
            [(*NA, "down")] * 3 + [(*SA, "down")] * 3 + [(*NB, "spoke")] * 7,
            (["carrier=A:012345"], []),
        ),
        (
            "a carrier, and one beside it",
            [(*NA, "down")] * 3 + [(*SA, "down")] * 3 + [(*NB, "down")] + [(*NB, "spoke")] * 6,
            (["carrier=A:012345"], ["6"]),
        ),
        ("everything", [(*NA, "down")] * 3 + [("south", "B", "down")] * 3, (["tenant=kagawa:012345"], [])),
        ("those that do not count", [(*NA, "down")] * 3 + [(*NA, "away")] * 9, (["area=north|carrier=A:012"], [])),
        ("two stations are no cause", [(*NA, "down")] * 2, ([], ["0", "1"])),
    ],
)
def test_what_is_decided(what: str, rows: list[tuple[str, str, str]], expected: tuple[list[str], list[str]]) -> None:
    """The group that explains most and has fewest that speak; alone, where none can be the cause."""
    assert decide(*rows) == expected, what


def test_a_cause_waits_for_its_list() -> None:
    """Two minutes after the first loss was found, not sooner, and the time-out decides what stays open."""
    rows = [(*NA, "down")] * 3
    assert decide(*rows, found=NOW - HOLD_BACK_MS + 1) == ([], [])
    assert decide(*rows, found=NOW - HOLD_BACK_MS)[0] == ["area=north|carrier=A:012"]
    slow = [(*NA, "down")] + [(*NA, "quiet")] * 5
    assert decide(*slow, found=NOW - LONGEST_MS + 1) == ([], [])
    assert decide(*slow, found=NOW - LONGEST_MS) == ([], ["0"])
    assert decide(*slow, found=NOW + MINUTE) == ([], ["0"]), "a clock that was put back holds nothing back"


def test_names_are_facts() -> None:
    """The same group at the same time is the same episode; another group is another."""
    assert causes.episode_id(NORTH_A, 0) == causes.episode_id(NORTH_A, 0)
    assert causes.episode_id(NORTH_A, 0) != causes.episode_id((("area", "south"), ("carrier", "A")), 0)
    assert causes.episode_id(NORTH_A, 0).endswith(".19700101T000000.000Z")


# --- through the bridge's batches ------------------------------------------------------------------------------------


def district(count: int, contract: Contract = TEN_MINUTES, **more: object) -> list[Station]:
    return [gauge(f"n{i}", area="north", carrier="A", contract=contract, **more) for i in range(count)]  # type: ignore[arg-type]


def rest(count: int) -> list[Station]:
    return [gauge(f"s{i}", area="south", carrier="B") for i in range(count)]


def dark(name: str, start: int, end: int) -> Callable[[Station, int], float | None]:
    """Stations whose names begin so say nothing for a while."""
    return lambda s, minute: None if s.id.startswith(name) and start <= minute < end else 0.5


def test_a_district_of_120_stations_rings_once() -> None:
    """Whatever their intervals: one ring, one list, and a quiet word when they are back."""
    mixed = [
        gauge(f"n{i}", area="north", carrier="A", contract=Contract(60.0 * (1 + i % 10), 60.0)) for i in range(120)
    ]
    city = City(mixed + rest(130), dark("n", 60, 240))
    city.run(230)
    assert len(city.rings) == 1, "\n".join(map(str, city.rings))
    assert sum(len(e.course.stations) for e in city.causes) == 120
    city.run(300)
    assert len(city.rings) == 1
    assert city.causes == []
    assert [t.body["change"] for t in city.told] == ["silent", "restored"]


def test_the_crest_is_held_and_named() -> None:
    """A gauge above danger in a district that is lost: one ring at its rank, its own mark in its own episode."""
    calm = dark("n", 60, 240)
    city = City(district(8) + rest(9), lambda s, m: 4.2 if s.id == "n3" and not 60 <= m < 240 else calm(s, m))
    city.run(230)
    assert [(t.body["change"], t.body["rank"]) for t in city.rings if t.minute > 60] == [("held", 4)]
    assert "n3：氾濫危険水位超過のまま観測不能" in city.rings[-1].body["text"]["ja"]  # type: ignore[index]
    assert city.state("n3").held
    marks = [t for _, t in city.transitions if t.change is Change.HELD and t.station == "n3"]
    assert [(t.rings, t.to_rank) for t in marks] == [(False, 4)]
    assert marks[0].episode == city.memory.episodes[(TENANT, "n3")].id
    city.run(400)
    assert not city.state("n3").held
    assert city.state("n3").rank == 4


def test_later_ones_join_and_early_ones_leave() -> None:
    """The list follows without a ring; half an hour after three quarters speak, whoever is left stands alone."""

    def measured(s: Station, minute: int) -> float | None:
        number = int(s.id[1:])
        if s.id.startswith("s"):
            return 0.5
        if number < 6:
            return None if 60 <= minute < 200 else 0.5
        return None if minute >= 120 and number == 6 else 0.5

    city = City(district(8) + rest(9), measured)
    city.run(110)
    assert [e.course.stations for e in city.causes] == [tuple(f"n{i}" for i in range(6))]
    city.run(170)
    assert [e.course.stations for e in city.causes] == [tuple(f"n{i}" for i in range(7))]
    city.run(260)
    assert city.causes == []
    assert len(city.rings) == 1
    assert "1観測所は引き続き未着" in city.told[-1].body["subject"]["ja"]  # type: ignore[index]
    assert (TENANT, "n6") in city.memory.episodes
    assert city.state("n6").lost


def test_a_restart_in_an_outage_rings_nobody() -> None:
    """What was announced is not announced again, and what waits goes on waiting."""
    city = City(district(8) + rest(9), dark("n", 60, 300))
    city.run(120)
    assert len(city.rings) == 1
    for _ in range(3):
        city.restart()
        city.run(city.minute + 40)
    assert len(city.told) == 1
    city.run(360)
    assert [t.body["change"] for t in city.told] == ["silent", "restored"]


def test_an_outage_while_the_bridge_is_away() -> None:
    """What arose meanwhile is unknown until the bridge has listened, then one ring; a bridge that was away for long
    while everything worked rings nobody."""
    city = City(district(8) + rest(9), dark("n", 60, 400))
    city.run(50)
    city.away = True
    city.run(200)
    city.away = False
    city.restart()
    city.run(212)
    assert city.told == []
    city.run(300)
    assert len(city.rings) == 1
    calm = City(district(8) + rest(9))
    calm.run(50)
    calm.away = True
    calm.run(500)
    calm.away = False
    calm.restart()
    calm.run(600)
    assert calm.told == []


def test_the_broker_is_no_storm() -> None:
    """While the bridge does not listen nothing is silent; what was rung for as no_data rings no second time."""
    city = City(district(8) + rest(9), lambda s, m: None if 60 <= m < 200 else 0.5)
    city.run(59)
    city.subscribed = None
    city.run(150)
    city.subscribed = 150
    city.run(164)
    assert city.told == []
    city.run(199)
    assert [t.body["group"] for t in city.rings] == ["tenant=kagawa"]

    quiet = City(district(8) + rest(9), lambda s, m: None if 60 <= m < 200 else 0.5)
    quiet.before = lambda work: work.notice(NoticeCode.NO_DATA, 65 <= quiet.minute < 200)
    quiet.run(199)
    assert [t.body.get("notice") for t in quiet.told if t.body["rings"]] == ["no_data"]
    assert any(t.body.get("group") for t in quiet.told)


def test_a_dead_device_is_one() -> None:
    """Its stations are told as one, without a ring in the calm; with one of them at a level it rings."""
    two = [gauge("a", device="gw"), gauge("b", device="gw")]
    others = rest(9)

    def broken(level: float) -> Callable[[Station, int], float | FaultCode]:
        return lambda s, m: FaultCode.NO_ANSWER if s.device == "gw" and m >= 60 else level if s.id == "b" else 0.5

    city = City(two + others, broken(0.5))
    city.run(200)
    assert [(t.body["change"], t.body["group"], t.rings) for t in city.told] == [("faulty", "device=gw", False)]
    city = City(two + others, broken(2.5))
    city.run(200)
    assert [(t.body["change"], t.rings) for t in city.told][1:] == [("held", True)]


def test_a_refused_batch_has_looked_at_nothing() -> None:
    """What a batch found that the disk refused is found again by its repeat, at the same minute."""
    told = []
    for refused in (0, 2):
        city = City(district(8) + rest(9), lambda s, m: None if s.id == "s3" and m >= 90 else dark("n", 60, 240)(s, m))
        city.refused = refused
        city.run(300)
        told.append([str(t) for t in city.told])
    assert len(told[0]) >= 3
    assert told[0] == told[1]


def test_one_station_rings_once_for_all_its_channels() -> None:
    """Two graded channels of a station are lost: one of them rings."""
    pair = gauge("a")
    level = pair.channels["water_level"]
    second = replace(level, name="second")
    station = replace(pair, channels={"water_level": level, "second": second})
    city = City([station, *rest(5)], lambda s, m: None if s.id == "a" and m >= 30 else 2.5 if s.id == "a" else 0.5)
    city.run(120)
    lost = [t for t in city.told if t.body["change"] == "held"]
    assert sorted(t.rings for t in lost) == [False, True]


PATTERN = st.lists(
    st.tuples(
        st.sampled_from(["north", "south", ""]), st.sampled_from(["A", "B", ""]), st.integers(0, 3),
        st.sampled_from([1, 5, 10]), st.sampled_from([None, None, 40, 43, 48, 60]), st.sampled_from([0.5, 1.2, 4.2]),
    ),
    min_size=1, max_size=14,
)  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(PATTERN, st.booleans())
def test_nothing_is_lost_silently(rows: list[tuple[str, str, int, int, int | None, float]], restarts: bool) -> None:
    """Any pattern of outages: each lost station is in exactly one cause, or announced alone, never both, never twice,
    and every station that is held has its own mark; none that speaks is called lost."""
    stations = [
        gauge(f"x{i}", area=area, carrier=carrier, device=f"gw{device}-{area}", contract=Contract(60.0 * every, 60.0))
        for i, (area, carrier, device, every, _, _) in enumerate(rows)
    ]
    ends = {f"x{i}": end for i, (*_, end, _) in enumerate(rows)}
    level = {f"x{i}": value for i, (*_, value) in enumerate(rows)}
    city = City(stations, lambda s, m: level[s.id] if ends[s.id] is None or m < (ends[s.id] or 0) else None)
    city.run(80)
    if restarts:
        city.restart()
    city.run(180)
    listed = [name for e in city.causes for name in e.course.stations]
    alone = [t.station for _, t in city.transitions if t.change in (Change.SILENT, Change.HELD) and t.station]
    by_key = {k.rpartition("/")[0] for k in (x.key for x in city.told)}
    told_alone = {
        t.station for _, t in city.transitions if t.key in by_key and t.change in (Change.SILENT, Change.HELD)
    }
    told_alone.discard("")
    lost = {name for name, end in ends.items() if end is not None}
    assert len(listed) == len(set(listed))
    assert set(listed) | told_alone == lost
    assert not set(listed) & told_alone
    assert sorted(alone) == sorted(lost), "each has one row in the record"
    assert {n for n in lost if level[n] > 4} == {n for n in lost if city.state(n).held}
