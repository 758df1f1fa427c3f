"""Who is told, whether it rings there, who is called next: tables, and what must hold whatever happens."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway import calling
from gateway.calling import Call, Directory, Moment, Phone, Phones, Place
from gateway.episodes import Course
from gateway.model import Change, Transition
from gateway.people import JST, Member, People, Plan, Role

MINUTE, HOUR = 60_000, 3_600_000


def at(text: str) -> int:
    """Milliseconds of a moment in Japan."""
    return int(datetime.fromisoformat(text).replace(tzinfo=JST).timestamp() * 1000)


NIGHT = at("2026-09-16T02:00")
CLOSED = frozenset({date(2026, 9, 21), date(2026, 9, 22)})
ROLES = {
    "duty": Role("duty", "当直", "Duty officer", deputies=("crisis",)),
    "crisis": Role("crisis", "危機管理課", "Crisis management"),
    "sewer": Role("sewer", "下水道課", "Sewers", wait_s=60.0),
    "mayor": Role("mayor", "市長", "Mayor"),
}
DUTY = Member("duty", "当直", ("desk",))
YAMADA = Member("crisis", "山田", ("mail:yamada", "voice:yamada"), 1)
TANAKA = Member("crisis", "田中", ("voice:tanaka",), 2)
SATO = Member("sewer", "佐藤", ("mail:sato",), parts=frozenset({"weekday"}))
MAYOR = Member("mayor", "市長", ("mail:mayor",))
PLANS = (
    Plan(2, ("duty",)),
    Plan(3, ("duty", "crisis")),
    Plan(4, ("duty", "crisis", "sewer"), inform=("mayor",)),
    Plan(4, ("sewer", "duty"), station="underpass-1", hazard=None),
    Plan(3, ("crisis",), hazard="tide", wait_s=300.0),
    Plan(2, ("mayor",), tenant="miki"),
    Plan(4, ("mayor", "duty"), tenant="miki"),
)
PEOPLE = People(ROLES, (DUTY, YAMADA, TANAKA, SATO, MAYOR), PLANS, CLOSED.__contains__)
PLACE = Place("kasuga", "river", "春日川")


def transition(
    to_rank: int, change: Change = Change.RISE, from_rank: int = 0, at_ms: int = NIGHT, **more: object
) -> Transition:
    base = Transition("t", "kasuga", "water_level", "e", change, from_rank, to_rank, at_ms, 3.0)
    return replace(base, **more)  # type: ignore[arg-type]


@dataclass
class Desk:
    """One episode and the phones, told of what happens one after another."""

    people: People | None = PEOPLE
    others: dict[str, int] = field(default_factory=dict)
    place: Place = PLACE
    now_ms: int = NIGHT
    course: Course = field(default_factory=Course)
    phones: Phones = field(default_factory=lambda: Phones({}))
    calls: list[Call] = field(default_factory=list)

    def moment(self, standing: int = 0, muted: bool = False) -> Moment:
        return Moment(Directory(self.people, self.others), self.place, self.now_ms, standing, muted)

    def tell(self, t: Transition, standing: int | None = None, muted: bool = False) -> list[str]:
        at = self.moment(t.to_rank if standing is None else standing, muted)
        self.course, calls = calling.tell(t, self.course, at, self.phones)
        return self._said(calls)

    def wait(self, ms: int, muted: bool = False) -> list[str]:
        """Time passes, a look each quarter of a minute."""
        found = []
        for _ in range(ms // 15_000):
            self.now_ms += 15_000
            self.course, calls = calling.advance(self.course, self.moment(muted=muted), self.phones)
            found += self._said(calls)
            for name in sorted(calling.owing([self.course])):
                courses, call = calling.ring_later(
                    name, {("t", "kasuga"): (self.course, self.place)}, self.now_ms, self.phones
                )
                self.course = courses.get(("t", "kasuga"), self.course)
                found += self._said([call] if call else [])
        return found

    def _said(self, calls: list[Call]) -> list[str]:
        self.calls += calls
        return [f"{'ring' if c.rings else 'told'} {c.recipient}" for c in calls]


# (sentence, transition, wanted)
FIRST = [
    ("rank 1 is told to nobody without a plan for it", transition(1, rings=False), []),
    ("rank 1 never rings, whatever says so", transition(1), []),
    ("rank 2 rings the desk", transition(2), ["ring desk"]),
    ("rank 3 rings the first role", transition(3), ["ring desk"]),
    ("who is only informed is told quietly", transition(4), ["ring desk", "told mail:mayor"]),
    ("an unconfirmed danger rings like any", transition(4, confirmed=False), ["ring desk", "told mail:mayor"]),
    ("an unconfirmed rank 3 is shown to the desk", transition(3, confirmed=False, rings=False), ["told desk"]),
    ("silence that rings goes to the desk", transition(0, Change.SILENT), ["ring desk"]),
    ("a rain step goes to the desk", transition(0, Change.STEP, level="rain_1h"), ["ring desk"]),
    ("what does not ring is shown to the desk", transition(0, Change.FAULTY, rings=False), ["told desk"]),
    ("a gauge lost at its crest rings", transition(4, Change.HELD, 4), ["ring desk", "told mail:mayor"]),
    ("falling too fast rings", transition(4, Change.FAST_FALL, 4), ["ring desk", "told mail:mayor"]),
    ("revised thresholds ring nobody", transition(4, Change.THRESHOLDS, 4), []),
    ("a fall of which nobody knew the rise is told to nobody", transition(0, Change.FALL, 2), []),
]  # fmt: skip


@pytest.mark.parametrize(("t", "wanted"), [row[1:] for row in FIRST], ids=[row[0] for row in FIRST])
def test_first_transitions(t: Transition, wanted: list[str]) -> None:
    """A transition of a fresh episode reaches whom the plan says, ringing only where it should."""
    assert Desk().tell(t) == wanted


def test_the_plan_is_called_role_by_role() -> None:
    """Each role has its time; deputies come after the roles, in the next round the next members."""
    desk = Desk()
    desk.tell(transition(4))
    assert desk.wait(3 * MINUTE - 15_000) == []
    assert desk.wait(15_000) == ["ring mail:yamada", "ring voice:yamada"]
    assert desk.wait(3 * MINUTE) == ["ring desk"]  # the sewers' only member is not there at night: round two
    assert desk.course.calling is not None
    assert (desk.course.calling.turn, desk.course.calling.round) == (0, 1)


def test_deputies_are_called_after_the_roles_of_the_plan() -> None:
    """Where the plan names the duty officer alone, who stands in for that role is called in the same round."""
    desk = Desk(people=replace(PEOPLE, plans=(Plan(2, ("duty",)),)))
    desk.tell(transition(4))
    assert desk.wait(3 * MINUTE) == ["ring mail:yamada", "ring voice:yamada"]
    assert desk.course.calling is not None
    assert desk.course.calling.round == 0


def test_a_phone_rings_again_once_it_may() -> None:
    """A second call of a phone that rang a minute ago is told at once and rings once, later."""
    desk = Desk()
    assert desk.tell(transition(3)) == ["ring desk"]
    desk.now_ms += 20_000
    second = replace(transition(3, Change.HELD, 3, desk.now_ms))
    assert desk.tell(second) == ["told desk"]
    assert calling.owing([desk.course]) == {"desk"}
    later = desk.wait(8 * MINUTE)
    assert later.count("ring desk") == 1
    assert calling.owing([desk.course]) == set()


def test_acknowledging_ends_the_call_of_that_rank() -> None:
    """Seen: nobody else is called, until a higher rank comes."""
    desk = Desk()
    desk.tell(transition(3))
    assert calling.unseen(desk.course)
    desk.course = calling.acknowledged(desk.course, "tanaka", desk.now_ms + 1)
    assert not calling.unseen(desk.course)
    assert desk.wait(60 * MINUTE) == []
    assert desk.tell(transition(3, Change.RISE, 3, desk.now_ms)) == ["told desk"]
    assert desk.tell(transition(4, Change.RISE, 3, desk.now_ms + 1)) == ["ring desk", "told mail:mayor"]
    assert desk.wait(4 * MINUTE) == ["ring mail:yamada", "ring voice:yamada"]


def test_a_medium_that_gave_up_moves_the_call_on_at_once() -> None:
    """Who is reached by no medium has no time to acknowledge."""
    desk = Desk()
    t = transition(4)
    desk.tell(t)
    desk.course = calling.unreached(desk.course, t.key, "desk")
    assert desk.wait(15_000) == ["ring mail:yamada", "ring voice:yamada"]
    desk.course = calling.unreached(desk.course, t.key, "mail:yamada")
    assert desk.wait(15_000) == []
    desk.course = calling.unreached(desk.course, t.key, "voice:yamada")
    assert desk.wait(15_000) == ["told desk"]


def test_a_call_ends_after_its_rounds() -> None:
    """Three rounds, then that nobody answered rings once at the desk and the last role of the plan, deputies aside;
    after that nobody is called any more, whatever time passes."""
    desk = Desk(people=replace(PEOPLE, plans=(Plan(2, ("crisis",), rounds=3),)))
    desk.tell(transition(4))
    desk.wait(60 * MINUTE)
    told = Counter(c.again for c in desk.calls if not c.again.endswith("ring"))
    assert set(told) == {"", "crisis.1", "crisis.2", "unanswered.3"}
    last = {c.recipient: c.unanswered for c in desk.calls if c.again.startswith("unanswered")}
    assert last == dict.fromkeys(("mail:yamada", "voice:yamada", *(x.recipient for x in desk.course.told)), 3)
    assert desk.course.calling is not None
    assert not desk.course.calling.active


def test_muted() -> None:
    """A muted station is told and rings nobody, and its call does not go on."""
    desk = Desk()
    assert desk.tell(transition(4), muted=True) == ["told desk", "told mail:mayor"]
    assert desk.wait(60 * MINUTE, muted=True) == []


def test_the_next_level_of_a_rank_rings_too() -> None:
    """Caution, and above it the level of turning out, which has the same rank: each rings the desk."""
    desk = Desk()
    assert "ring desk" in " ".join(desk.tell(transition(2)))
    desk.now_ms += 10 * MINUTE
    told = desk.tell(transition(2, from_rank=2, at_ms=NIGHT + 10 * MINUTE, level="dispatch"))
    assert "ring desk" in " ".join(told)
    desk.now_ms += 10 * MINUTE
    again = desk.tell(transition(2, from_rank=1, at_ms=NIGHT + 20 * MINUTE))
    assert "ring desk" not in " ".join(again)


def test_a_fall_is_told_to_those_who_know() -> None:
    """Falls, and that an episode was closed, go quietly to those who were told; a new rise is news again."""
    desk = Desk()
    desk.tell(transition(4))
    assert desk.tell(transition(0, Change.FALL, 4, desk.now_ms + HOUR)) == ["told desk", "told mail:mayor"]
    desk.now_ms += 2 * HOUR
    assert desk.wait(HOUR) == []
    assert desk.tell(transition(4, at_ms=desk.now_ms)) == ["ring desk", "told mail:mayor"]
    assert desk.tell(transition(0, Change.CLOSED, 4, desk.now_ms + 1)) == ["told desk", "told mail:mayor"]


def test_a_correction_reaches_everybody() -> None:
    """A false alarm is corrected to every recipient of it, ringing where it rang."""
    desk = Desk()
    desk.tell(transition(4, confirmed=False))
    desk.wait(3 * MINUTE)
    told = desk.tell(transition(0, Change.REJECTED, 4, desk.now_ms, channel=""))
    assert told == ["ring desk", "told mail:mayor", "ring mail:yamada", "ring voice:yamada"]
    assert desk.wait(HOUR) == []


def test_without_people_everybody_is_told_as_before() -> None:
    """Recipients of bridge.yaml that no plan knows are told by their min_rank."""
    desk = Desk(people=None, others={"hook": 2, "siren": 4})
    assert desk.tell(transition(2)) == ["ring hook"]
    assert desk.tell(transition(4, Change.RISE, 2, NIGHT + MINUTE)) == ["ring hook", "ring siren"]
    assert desk.tell(transition(2, Change.FALL, 4, NIGHT + HOUR)) == ["told hook", "told siren"]
    assert desk.wait(HOUR) == []


def test_a_drill_gives_way_to_a_flood() -> None:
    """A drill rings where nothing real rang lately, and takes no ring from what is real."""
    real, drill = Desk(), Desk()
    drill.phones = real.phones
    assert drill.tell(transition(4, drill=True)) == ["ring desk", "told mail:mayor"]
    assert real.tell(transition(3)) == ["ring desk"]
    drill.course = Course()
    assert drill.tell(transition(4, drill=True, at_ms=NIGHT + 1)) == ["told desk", "told mail:mayor"]


def test_one_ring_for_a_river_and_minute() -> None:
    """Of two stations of one river the second is told and its ring waits, unless it is worse."""
    phones = Phones({})
    upper, lower = Desk(phones=phones), Desk(phones=phones, place=Place("togawa", "river", "春日川"))
    other = Desk(phones=phones, place=Place("tsumeta", "river", "詰田川"))
    assert upper.tell(transition(3)) == ["ring desk"]
    assert lower.tell(transition(3)) == ["told desk"]
    assert other.tell(transition(3)) == ["ring desk"]
    worse = Desk(phones=phones, place=Place("koto", "river", "春日川"))
    assert worse.tell(transition(4))[0] == "ring desk"


# (sentence, plan wanted: its roles, for which rank, station, hazard)
CHOICES = [
    ("the plan of the rank", ("duty", "crisis", "sewer"), 4, "kasuga", "river"),
    ("a rank without a plan has that of the rank below", ("duty", "crisis", "sewer"), 5, "kasuga", "river"),
    ("the plan of the station before that of all", ("sewer", "duty"), 4, "underpass-1", "underpass"),
    ("the plan of the hazard before that of all", ("crisis",), 3, "pier", "tide"),
    ("the plan of the tenant before that of all", ("mayor", "duty"), 4, "shinkawa", "river"),
    ("the rank goes before hazard and station", ("duty", "crisis", "sewer"), 4, "pier", "tide"),
]


@pytest.mark.parametrize(("roles", "rank", "station", "hazard"), [x[1:] for x in CHOICES], ids=[x[0] for x in CHOICES])
def test_the_plan_that_holds(roles: tuple[str, ...], rank: int, station: str, hazard: str) -> None:
    """Of the plans that fit, the one of the highest rank, and of these the most specific."""
    found = PEOPLE.plan(rank, station, hazard, "miki" if station == "shinkawa" else "takamatsu")  # type: ignore[arg-type]
    assert found is not None
    assert found.call == roles


PARTS = [
    ("2026-09-16T08:30", "weekday"), ("2026-09-16T17:14", "weekday"), ("2026-09-16T17:15", "night"),
    ("2026-09-16T08:29", "night"), ("2026-09-19T12:00", "holiday"), ("2026-09-21T12:00", "holiday"),
    ("2026-09-21T22:00", "night"),
]  # fmt: skip


@pytest.mark.parametrize(("moment", "part"), PARTS)
def test_parts_of_a_day(moment: str, part: str) -> None:
    """Office hours of working days, the same hours of days off, and the night."""
    assert PEOPLE.part(at(moment))[1] == part


def test_the_first_moment_without_anybody() -> None:
    """A role that a plan calls must be held at every time of the coming days, its deputies included."""
    assert dict(PEOPLE.uncovered(at("2026-09-16T10:00"))) == {"sewer": at("2026-09-16T17:15")}
    until = replace(DUTY, until=date(2026, 9, 20))
    alone = {**ROLES, "duty": replace(ROLES["duty"], deputies=())}
    people = replace(PEOPLE, roles=alone, members=(until, YAMADA, TANAKA, MAYOR, replace(SATO, parts=DUTY.parts)))
    assert dict(people.uncovered(NIGHT)) == {"duty": at("2026-09-21T00:00")}
    assert dict(replace(people, roles=ROLES).uncovered(NIGHT)) == {}


# --- what must hold whatever happens ------------------------------------------------------------------------------

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("rise"), st.integers(2, 5), st.booleans()),
        st.tuples(st.just("fall"), st.integers(0, 4), st.just(True)),
        st.tuples(st.just("held"), st.integers(2, 5), st.just(True)),
        st.tuples(st.just("silent"), st.just(0), st.booleans()),
        st.tuples(st.just("wait"), st.integers(1, 40), st.just(True)),
        st.tuples(st.just("seen"), st.just(0), st.just(True)),
    ),
    max_size=25,
)


@hypothesis_settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_no_ring_is_lost_or_made_twice(events: list[tuple[str, int, bool]]) -> None:
    """Whatever happens: every transition that rings reaches somebody at once, its first recipients ring then or are
    owed a ring; no key comes twice; a call is bounded; a phone keeps to its bound; the course survives JSON."""
    desk, rank = Desk(others={"siren": 4}), 0
    for kind, n, rings in events:
        desk.now_ms += 1000
        before = len(desk.calls)
        if kind == "wait":
            desk.wait(n * MINUTE)
        elif kind == "seen":
            desk.course = calling.acknowledged(desk.course, "tanaka", desk.now_ms)
        else:
            change = {"rise": Change.RISE, "fall": Change.FALL, "held": Change.HELD, "silent": Change.SILENT}[kind]
            t = transition(n, change, rank, desk.now_ms, rings=rings and kind != "fall")
            desk.tell(t)
            rank = n
            if t.rings:
                assert len(desk.calls) > before
                new = desk.course.calling is not None and desk.course.calling.transition == t
                first = {c.recipient for c in desk.calls[before:] if not c.rings}
                if new:
                    rang = {c.recipient for c in desk.calls[before:] if c.rings}
                    assert rang or first & calling.owing([desk.course])
        desk.course = msgspec.json.decode(msgspec.json.encode(desk.course), type=Course)
    keys = Counter(c.key for c in desk.calls)
    assert [key for key, n in keys.items() if n > 1] == []
    by_transition = Counter(c.transition.key for c in desk.calls)
    assert max(by_transition.values(), default=0) <= 40
    for phone in desk.phones.changed.values():
        assert len(phone.rang) <= 4 * calling.BURST


@hypothesis_settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(2, 4), st.sampled_from("abc")), max_size=200))
def test_a_phone_rings_a_bounded_number_of_times(asked: list[tuple[int, int, str]]) -> None:
    """In no hour more than twelve rings, and three for ranks that the hour had not met."""
    phone, now, rang = Phone(), NIGHT, []
    for seconds, rank, water in asked:
        now += seconds * 1000
        if phone.may_ring(now, water, rank):
            phone = phone.ring(now, water, rank)
            rang.append(now)
    for start in rang:
        assert sum(start <= x < start + HOUR for x in rang) <= 15
