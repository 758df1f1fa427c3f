"""Who is told of a transition, whether it rings there, and who is called next. Pure; when and what is `alerting`'s,
how it sounds is the media's.

- Rank 1 never rings; rank 2, and what is about data, rings the desk (whom the plan of rank 2 calls first). From rank 3
  on the plan is called role by role until somebody acknowledges, every one a bounded number of rounds.
- Where nobody acknowledges in the last round, that itself rings at the desk and at the plan's last role.
- A call begins when a rank above the one called last is reached, and anew for a channel that is lost at its crest or
  falls too fast. Everything else goes quietly to those who were told before.
- A phone rings once a river and minute, and at most BURST times and then every REFILL_MS; a rank above all of its last
  hour always rings. What may not ring is delivered without, and one ring follows for all of it, the worst named.
- A correction goes to everybody who was told; it rings where the false alarm rang.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gateway.episodes import Calling, Course, Original, Told, Waiting
from gateway.model import Change, Transition
from gateway.people import People, Plan
from gateway.stations import Hazard

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
BURST, REFILL_MS = 4, 8 * MINUTE_MS  # of one phone: never more than 12 rings in an hour, but for a rank not met in it
KEPT_FOR_DANGER = 2  # of the burst: ranks up to 3 leave them alone
DRILL_APART_MS = 10 * MINUTE_MS  # a drill does not ring a phone that rang for something real so lately
DESK = 2  # the rank whose plan names the desk
WAITING_KEPT = 8
UNANSWERED = "unanswered"  # in `Call.again`, with the number of rounds: nobody has acknowledged in any of them

_ABOUT_DATA = (Change.HELD, Change.SILENT, Change.FAULTY, Change.RESTORED)
_FOR_THE_DESK = (Change.SILENT, Change.FAULTY, Change.STEP, Change.PAST)
_CLAIMS = (Change.RISE, Change.HELD, Change.PAST, Change.CONFIRMED)
_ANEW = (Change.HELD, Change.FAST_FALL)
_QUIET = (Change.FALL, Change.RESTORED, Change.THRESHOLDS, Change.CLOSED)


@dataclass(frozen=True, slots=True)
class Call:
    """One notification. `again` tells repeated ones apart: the role and round of a call, or that a ring came later;
    `more` are further episodes for which this ring stands."""

    recipient: str
    transition: Transition
    rings: bool
    again: str = ""
    more: int = 0

    @property
    def unanswered(self) -> int:
        """After how many rounds nobody has acknowledged; 0 where it says no such thing."""
        what, _, rounds = self.again.removesuffix(".ring").partition(".")
        return int(rounds) if what == UNANSWERED else 0

    @property
    def key(self) -> str:
        """(episode, transition, recipient), and for a repeated call its role and round. Facts only."""
        return f"{self.transition.key}/{self.recipient}" + (f"/{self.again}" if self.again else "")


@dataclass(frozen=True, slots=True)
class Place:
    """Where it happens. `water` is what a ring stands for: the river, or the station where it names none."""

    station: str
    hazard: Hazard
    water: str
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Directory:
    """Whom there is to call. `others` are the recipients of bridge.yaml that no member has, with their min_rank: they
    are told as if there were no plan."""

    people: People | None
    others: Mapping[str, int]

    def plan(self, rank: int, place: Place) -> Plan | None:
        return self.people.plan(rank, place.station, place.hazard, place.tenant) if self.people else None

    def desk(self, place: Place, now_ms: int) -> tuple[str, ...]:
        plan = self.plan(DESK, place)
        return self.turn(plan, 0, 0, now_ms) if plan else ()

    def turn(self, plan: Plan, turn: int, round_: int, now_ms: int) -> tuple[str, ...]:
        """The recipients of the role whose turn it is."""
        assert self.people is not None
        order = self.people.order(plan)
        found = self.people.reach(order[turn], now_ms, round_) if turn < len(order) else ()
        return tuple(dict.fromkeys(r for m in found for r in m.recipients))

    def first(self, plan: Plan, now_ms: int) -> tuple[int, tuple[str, ...]]:
        """The first turn with anybody, and who that is; where nobody at all can be reached by the plan, everybody."""
        assert self.people is not None
        for turn in range(len(self.people.order(plan))):
            if names := self.turn(plan, turn, 0, now_ms):
                return turn, names
        return 0, self.people.all_recipients()

    def informed(self, plan: Plan | None, now_ms: int) -> tuple[str, ...]:
        if plan is None or self.people is None:
            return ()
        members = (m for role in plan.inform for m in self.people.reach(role, now_ms))
        return tuple(r for m in members for r in m.recipients)

    def beside(self, t: Transition) -> tuple[str, ...]:
        rank = DESK if t.of_step else max(t.from_rank, t.to_rank)
        return tuple(name for name, least in self.others.items() if t.change in _ABOUT_DATA or rank >= least)


# --- how often a phone rings -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Phone:
    """How often one recipient rang lately: (when, for which water, at which rank) within the hour; `left` rings as they
    were at `at_ms`."""

    left: float = BURST
    at_ms: int = 0
    rang: tuple[tuple[int, str, int], ...] = ()

    def ready(self, now_ms: int) -> float:
        return min(float(BURST), self.left + max(0, now_ms - self.at_ms) / REFILL_MS)

    def lately(self, now_ms: int, within_ms: int = HOUR_MS) -> tuple[tuple[int, str, int], ...]:
        return tuple(x for x in self.rang if 0 <= now_ms - x[0] < within_ms)

    def may_ring(self, now_ms: int, water: str, rank: int) -> bool:
        if any(x[1] == water and x[2] >= rank for x in self.lately(now_ms, MINUTE_MS)):
            return False
        if rank > max((x[2] for x in self.lately(now_ms)), default=0):
            return True
        return self.ready(now_ms) >= (1 if rank >= 4 else 1 + KEPT_FOR_DANGER)

    def ring(self, now_ms: int, water: str, rank: int) -> Phone:
        rang = (*self.lately(now_ms), (now_ms, water, rank))[-4 * BURST :]
        return Phone(max(0.0, self.ready(now_ms) - 1), now_ms, rang)


@dataclass
class Phones:
    """The phones of all recipients, and those that changed."""

    known: Mapping[str, Phone]
    changed: dict[str, Phone] = field(default_factory=dict)

    def of(self, recipient: str) -> Phone:
        return self.changed.get(recipient) or self.known.get(recipient) or Phone()

    def ring(self, recipient: str, now_ms: int, water: str, rank: int) -> None:
        self.changed[recipient] = self.of(recipient).ring(now_ms, water, rank)


# --- a transition ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moment:
    """What a decision is made by: `standing` is the highest rank of the station's channels after the transition,
    `muted` that nobody is to be rung for it."""

    directory: Directory
    place: Place
    now_ms: int
    standing: int = 0
    muted: bool = False


def tell(t: Transition, course: Course, at: Moment, phones: Phones) -> tuple[Course, list[Call]]:
    """Whom a transition is told, and the course after that."""
    if t.change is Change.REJECTED:
        return _correct(t, course, at, phones)
    rank, rings = urgency(t), t.rings and t.change not in _QUIET and not (t.change is Change.RISE and t.to_rank < 2)
    if t.change in (Change.FALL, Change.CLOSED):
        course = _eased(course, at.standing if t.change is Change.FALL else 0)
    another = t.change is Change.RISE and t.from_rank == t.to_rank == DESK  # turning out, above caution
    new = rings and (rank > course.called or another or t.change in _ANEW or t.change in _FOR_THE_DESK)
    plan = at.directory.plan(rank, at.place)
    turn, first = _first(t, rank, plan, at) if new else (0, ())
    ring = dict.fromkeys((*first, *at.directory.beside(t))) if new else {}
    quiet = dict.fromkeys((*(x.recipient for x in course.told), *_bystanders(t, rank, plan, at)))
    if new and t.change not in _FOR_THE_DESK:
        active = rank > DESK and plan is not None and not at.muted
        calling = Calling(rank, t, at.now_ms, turn, 0, tuple(first), active)
        course = replace(course, called=max(course.called, rank), calling=calling, waiting=())
    course, calls = _dispatch(t, course, rank, list(ring), at, phones)
    told_quietly = [name for name in quiet if name not in ring]
    if calls or told_quietly:
        course = _originally(course, t, at.now_ms)
    return _noted(course, told_quietly, False), calls + [Call(name, t, False) for name in told_quietly]


def _originally(course: Course, t: Transition, now_ms: int) -> Course:
    """What is told of a level for the first time is what a correction would take back."""
    known = course.original.rank if course.original is not None else 0
    if t.change not in _CLAIMS or t.to_rank <= known:
        return course
    return replace(course, original=Original(t.to_rank, t.level, t.value, t.at_ms, now_ms, t.confirmed))


def urgency(t: Transition) -> int:
    """The rank whose plan is called for a transition that rings."""
    if t.change in _FOR_THE_DESK:
        return DESK
    return max(DESK, t.to_rank, t.from_rank if t.change in _ANEW else 0)


def _first(t: Transition, rank: int, plan: Plan | None, at: Moment) -> tuple[int, tuple[str, ...]]:
    if plan is None:
        return 0, ()
    if rank > DESK:
        return at.directory.first(plan, at.now_ms)
    return 0, at.directory.desk(at.place, at.now_ms) or at.directory.first(plan, at.now_ms)[1]


def _bystanders(t: Transition, rank: int, plan: Plan | None, at: Moment) -> tuple[str, ...]:
    """Who is told beside those who were told before: of a fall or a close nobody."""
    beside = at.directory.beside(t)
    if t.change in _QUIET:
        return beside
    if t.change is Change.RISE and t.to_rank < DESK:
        own = at.directory.plan(t.to_rank, at.place)
        first = at.directory.turn(own, 0, 0, at.now_ms) if own else ()
        return (*first, *at.directory.informed(own, at.now_ms), *beside)
    return (*at.directory.desk(at.place, at.now_ms), *at.directory.informed(plan, at.now_ms), *beside)


def _eased(course: Course, standing: int) -> Course:
    """After a fall: below rank 3 nobody is called any more, and a new rise is news again."""
    calling = course.calling
    if calling is not None and standing <= DESK:
        calling = replace(calling, active=False)
    waiting = tuple(w for w in course.waiting if w.rank <= standing or w.transition.change in _FOR_THE_DESK)
    return replace(course, called=min(course.called, standing), calling=calling, waiting=waiting)


def _correct(t: Transition, course: Course, at: Moment, phones: Phones) -> tuple[Course, list[Call]]:
    calls = [Call(x.recipient, t, x.rang) for x in course.told]
    for call in calls:
        if call.rings and not t.drill:
            phones.ring(call.recipient, at.now_ms, at.place.water, t.from_rank)
    return _eased(course, 0), calls


def _dispatch(
    t: Transition, course: Course, rank: int, names: list[str], at: Moment, phones: Phones, again: str = ""
) -> tuple[Course, list[Call]]:
    """Ring these, or tell them without where a phone may not ring now; then a ring is owed."""
    rung = [name for name in names if not at.muted and _may_ring(name, t, rank, at, phones)]
    for name in rung:
        if not t.drill:
            phones.ring(name, at.now_ms, at.place.water, rank)
    silent = tuple(name for name in names if name not in rung)
    if silent and not at.muted and not t.drill:
        course = replace(course, waiting=_bounded((*course.waiting, Waiting(rank, t, silent, again))))
    course = _noted(_noted(course, rung, True), silent, False)
    return course, [Call(name, t, name in rung, again) for name in names]


def _bounded(waiting: tuple[Waiting, ...]) -> tuple[Waiting, ...]:
    """Some of what waits, the worst; whoever waits for the rest waits for the worst."""
    worst, *rest = sorted(waiting, key=lambda w: (-w.rank, w.transition.at_ms))
    gone = [name for w in rest[WAITING_KEPT - 1 :] for name in w.recipients]
    return (replace(worst, recipients=tuple(dict.fromkeys((*worst.recipients, *gone)))), *rest[: WAITING_KEPT - 1])


def _may_ring(name: str, t: Transition, rank: int, at: Moment, phones: Phones) -> bool:
    phone = phones.of(name)
    if t.drill:  # a real flood has precedence
        return not phone.lately(at.now_ms, DRILL_APART_MS)
    return phone.may_ring(at.now_ms, at.place.water, rank)


def _noted(course: Course, names: Iterable[str], rang: bool) -> Course:
    told = {x.recipient: x for x in course.told}
    for name in names:
        before = told.get(name)
        told[name] = Told(name, rang or (before is not None and before.rang))
    return replace(course, told=tuple(told.values()))


# --- time, and what people and media do --------------------------------------------------------------------------


def advance(course: Course, at: Moment, phones: Phones) -> tuple[Course, list[Call]]:
    """Let time pass: the next role is called where the one whose turn it is has not acknowledged for its time, or was
    reached by no medium."""
    calling, people = course.calling, at.directory.people
    if calling is None or not calling.active:
        return course, []
    plan = at.directory.plan(calling.rank, at.place)
    if people is None or plan is None:
        return replace(course, calling=replace(calling, active=False)), []
    order = people.order(plan)
    role = order[min(calling.turn, len(order) - 1)]
    waited_s = (at.now_ms - calling.since_ms) / 1000
    if at.muted or (calling.awaiting and waited_s < people.wait_s(plan, role, calling.rank)):
        return course, []
    turn, round_ = calling.turn, calling.round
    while True:
        turn, round_ = (turn + 1, round_) if turn + 1 < len(order) else (0, round_ + 1)
        if round_ >= plan.rounds:
            return _unanswered(course, plan, at, phones)
        if names := at.directory.turn(plan, turn, round_, at.now_ms):
            break
    calling = replace(calling, since_ms=at.now_ms, turn=turn, round=round_, awaiting=names)
    course = replace(course, calling=calling)
    t, again = calling.transition, f"{order[turn]}.{round_}"
    return _dispatch(t, course, calling.rank, list(names), at, phones, again)


def _unanswered(course: Course, plan: Plan, at: Moment, phones: Phones) -> tuple[Course, list[Call]]:
    """Nobody has acknowledged in all rounds: that itself rings at the desk and at the last role of the plan, which
    leads, and everybody who was told is told. Nobody is called after it; the next rank begins its own call."""
    about, people = course.calling, at.directory.people
    assert about is not None
    assert people is not None
    course = replace(course, calling=replace(about, active=False))
    leads = at.directory.turn(plan, people.order(plan).index(plan.call[-1]), 0, at.now_ms)
    ring = dict.fromkeys((*at.directory.desk(at.place, at.now_ms), *leads))
    again = f"{UNANSWERED}.{plan.rounds}"
    others = [x.recipient for x in course.told if x.recipient not in ring]
    course, calls = _dispatch(about.transition, course, about.rank, list(ring), at, phones, again)
    return course, calls + [Call(name, about.transition, False, again) for name in others]


def unreached(course: Course, transition: str, recipient: str) -> Course:
    """A medium gave up: the recipient counts as not reached. The key is the transition's."""
    calling = course.calling
    if calling is None or not calling.active or calling.transition.key != transition:
        return course
    left = tuple(name for name in calling.awaiting if name != recipient)
    return course if left == calling.awaiting else replace(course, calling=replace(calling, awaiting=left))


def acknowledged(course: Course, by: str, at_ms: int) -> Course:
    """Somebody has seen it: nobody else is called for this rank. It is no judgement."""
    calling = replace(course.calling, active=False) if course.calling else None
    return replace(course, acknowledged_ms=at_ms, acknowledged_by=by, calling=calling, waiting=())


def unseen(course: Course) -> bool:
    """Whether what was called last is not acknowledged."""
    calling = course.calling
    if calling is None:
        return False
    return course.acknowledged_ms is None or course.acknowledged_ms < calling.transition.at_ms or calling.active


def owing(courses: Iterable[Course]) -> set[str]:
    """The recipients to whom a ring is owed."""
    return {name for course in courses for w in course.waiting for name in w.recipients}


def ring_later(
    recipient: str, courses: Mapping[tuple[str, str], tuple[Course, Place]], now_ms: int, phones: Phones
) -> tuple[dict[tuple[str, str], Course], Call | None]:
    """The ring that a recipient is owed, if the phone may ring now: one for everything that waits, the worst named.
    Returns the courses that changed, by their key in `courses`."""
    owed = [
        (w, key, place) for key, (course, place) in courses.items() for w in course.waiting if recipient in w.recipients
    ]
    if not owed:
        return {}, None
    worst, _, place = max(owed, key=lambda x: (x[0].rank, -x[0].transition.at_ms))
    if not phones.of(recipient).may_ring(now_ms, place.water, worst.rank):
        return {}, None
    phones.ring(recipient, now_ms, place.water, worst.rank)
    changed = {}
    for key in {key for _, key, _ in owed}:
        course = courses[key][0]
        left = (replace(w, recipients=tuple(r for r in w.recipients if r != recipient)) for w in course.waiting)
        changed[key] = _noted(replace(course, waiting=tuple(w for w in left if w.recipients)), [recipient], True)
    again = f"{worst.again}.ring" if worst.again else "ring"
    return changed, Call(recipient, worst.transition, True, again, len(changed) - 1)
