"""CAP 1.2: what is said of an episode to other systems, valid whatever happens in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from gateway import cap, settings, storefile
from gateway.bridge import capping
from gateway.bridge.notify import Owed
from gateway.bridge.store import Store
from gateway.bridge.work import Rules, Work
from gateway.cap import Meaning, Message, Reference, Text
from gateway.channelstate import ChannelState
from gateway.episodes import Episode
from gateway.model import Change, Flag, Transition
from tests import capxml, world
from tests.world import STATION, T0, TENANT

MINUTE, HOUR = 60_000, 3_600_000
SENDER = "flood.city.takamatsu.example"
EPISODE = f"{STATION}.20251124T160000.000Z"
TEXTS = (
    Text(
        "ja-JP",
        "水位情報",
        "【水位情報】春日橋 危険",
        "水位 3.10 m\n観測時刻 1:00",
        "水位監視",
        "春日橋周辺",
    ),
    Text("en", "Water level", "[Water level] Kasuga Bridge", "Level 3.10 m", "Flood watch", "around Kasuga Bridge"),
)
MESSAGE = Message(
    "suimon.a", SENDER, T0, "Actual", "Alert", cap.meaning(4, True), TEXTS, (34.3, 134.0, 1.0), T0 + 24 * HOUR,
    restriction="庁内に限る", incident=EPISODE, onset_ms=T0, parameters=(("value", "3.10"),),
)  # fmt: skip


# --- the document --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rank", "confirmed", "expected"),
    [
        (2, True, ("Future", "Minor", "Observed", "Monitor")),
        (3, True, ("Expected", "Moderate", "Observed", "Prepare")),
        (4, True, ("Immediate", "Severe", "Observed", "Prepare")),
        (5, True, ("Immediate", "Extreme", "Observed", "Assess")),
        (4, False, ("Immediate", "Severe", "Likely", "Prepare")),
        (1, True, ("Future", "Minor", "Observed", "Monitor")),
        (0, True, ("Future", "Minor", "Observed", "Monitor")),
    ],
)
def test_what_a_rank_means(rank: int, confirmed: bool, expected: tuple[str, ...]) -> None:
    """Urgency, severity, certainty and response; what is unconfirmed is likely, what has fallen is still watched."""
    assert cap.meaning(rank, confirmed) == Meaning(*expected)


def test_a_document() -> None:
    """Everything in its place, in both languages, restricted unless told otherwise."""
    d = capxml.read(cap.render(MESSAGE))
    assert [d.one(x) for x in ("identifier", "sender", "status", "msgType", "scope", "restriction", "incidents")] == [
        "suimon.a", SENDER, "Actual", "Alert", "Restricted", "庁内に限る", EPISODE,
    ]  # fmt: skip
    assert (d.one("sent"), d.one("info/expires")) == ("2025-11-25T01:00:00+09:00", "2025-11-26T01:00:00+09:00")
    assert (d.ja("headline"), d.ja("area/areaDesc")) == (TEXTS[0].headline, "春日橋周辺")
    assert d.one("info/area/circle") == "34.30000,134.00000 1"
    assert d.parameters == {"value": "3.10"}
    assert d.all("references") == []


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("everything left out", {"restriction": "", "incident": "", "onset_ms": None, "parameters": ()}),
        ("an outline", {"polygon": ((34.0, 134.0), (34.1, 134.0), (34.1, 134.1))}),
        ("an outline that is closed", {"polygon": ((34.0, 134.0), (34.1, 134.0), (34.1, 134.1), (34.0, 134.0))}),
        ("public", {"scope": "Public"}),
        ("where to ask", {"contact": "087-000-0000", "web": "https://flood.example/cap/"}),
        ("a station without a datum", {"parameters": (("datum", ""), ("value", "1"))}),
        ("a drill", {"status": "Exercise", "note": cap.NOTE_DRILL}),
        ("no whole second", {"sent_ms": T0 + 999, "onset_ms": T0 + 1}),
        ("before 1970 ended in Japan", {"sent_ms": 0, "onset_ms": -1}),
        (
            "markup in a text",
            {"texts": tuple(replace(x, description="a <b> & ]]> \"c\" 'd'\n\x00\x1f") for x in TEXTS)},
        ),
    ],
)
def test_a_document_is_valid(what: str, changes: dict[str, Any]) -> None:
    """Whatever is left out, added or written into it."""
    d = capxml.read(cap.render(replace(MESSAGE, **changes)))
    for ring in d.all("info/area/polygon"):
        assert ring.split()[0] == ring.split()[-1] == "34.00000,134.00000", what
        assert len(ring.split()) == 4


EARLIER = (Reference(SENDER, "suimon.x", T0 - 2000), Reference("old.sender", "suimon.y", T0 - 1000))


def test_an_update_names_all_before_it() -> None:
    """Oldest first, each by sender, identifier and when it was sent."""
    d = capxml.read(cap.render(replace(MESSAGE, msg_type="Update"), EARLIER))
    assert d.one("references") == (
        f"{SENDER},suimon.x,2025-11-25T00:59:58+09:00 old.sender,suimon.y,2025-11-25T00:59:59+09:00"
    )


def test_references_have_a_bound() -> None:
    """The newest hundred of a chain that never ends."""
    chain = tuple(Reference(SENDER, f"m{i}", T0 + i * 1000) for i in range(300))
    names = capxml.read(cap.render(replace(MESSAGE, msg_type="Update"), chain)).one("references").split()
    assert [x.split(",")[1] for x in names] == [f"m{i}" for i in range(200, 300)]


@pytest.mark.parametrize(
    ("what", "message", "chain"),
    [
        ("nobody released it", replace(MESSAGE, meaning=Meaning("Immediate", "Severe", "Observed", "Evacuate")), ()),
        ("no order", replace(MESSAGE, meaning=replace(MESSAGE.meaning, response="Shelter"), released_by="田中"), ()),
        ("no person", replace(MESSAGE, meaning=replace(MESSAGE.meaning, response="Execute"), order="3"), ()),
        ("an update of nothing", replace(MESSAGE, msg_type="Update"), ()),
        ("a cancel of nothing", replace(MESSAGE, msg_type="Cancel"), ()),
        ("an alert after others", MESSAGE, EARLIER),
        ("a sender with a space", replace(MESSAGE, sender="the city"), ()),
        ("an identifier with a comma", replace(MESSAGE, identifier="a,b"), ()),
    ],
)
def test_what_may_not_be_sent_is_not_made(what: str, message: Message, chain: tuple[Reference, ...]) -> None:
    """No order to the public without the mayor's, no broken chain, no name that cannot be referred to."""
    with pytest.raises(ValueError, match=r"."):
        cap.render(message, chain)


def test_text_to_copy() -> None:
    """What a person pastes into L-Alert: headline, text, who says it and when; a drill at both ends."""
    assert cap.plain(MESSAGE) == ("【水位情報】春日橋 危険\n水位 3.10 m\n観測時刻 1:00\n水位監視  2025年11月25日 01:00")
    drill = cap.plain(replace(MESSAGE, status="Exercise"))
    assert drill.startswith("【訓練】")
    assert drill.endswith("【訓練】")


# --- what a batch owes ---------------------------------------------------------------------------------------------


class City:
    """A store whose bridge makes CAP documents, and transitions as rules and people make them."""

    def __init__(self, folder: Path, to: settings.Cap | None = None, **more: Any) -> None:
        self.path = folder / "store.db"
        folder.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self.to = to or settings.Cap(folder / "cap", SENDER)
        self.bridge = world.bridge(self.path, cap=self.to, **more)
        channels = [world.channel(thresholds=world.EVERY), world.channel("second", "water_level", world.EVERY)]
        self.registry = world.registry(world.station(channels=channels))
        self.store = Store(self.path)
        self.memory = self.store.load()
        self.now_ms = T0

    def again(self) -> None:
        self.store.close()
        self.store = Store(self.path)
        self.memory = self.store.load()

    def work(self) -> Work:
        return Work(self.memory, Rules(self.registry, self.bridge, self.now_ms, self.now_ms + HOUR, T0))

    def write(self, work: Work) -> None:
        self.store.commit(work)
        work.swap_in()

    def transition(self, change: Change, from_rank: int, to_rank: int, **more: Any) -> Transition:
        given = {"channel": "water_level", "at_ms": self.now_ms - 500, "value": 3.1} | more
        return Transition(
            TENANT, STATION, episode=EPISODE, change=change, from_rank=from_rank, to_rank=to_rank, **given
        )

    def happens(self, change: Change, from_rank: int, to_rank: int, ends: bool = False, **more: Any) -> None:
        """One batch with one transition, a minute after the last."""
        self.now_ms += MINUTE
        work, t = self.work(), self.transition(change, from_rank, to_rank, **more)
        claims = not t.confirmed and change is Change.RISE
        state = ChannelState(rank=from_rank if claims else to_rank, unconfirmed=to_rank if claims else 0)
        if t.channel:
            work.states[(TENANT, STATION, t.channel)] = state
        work.transitions.append(t)
        kind = "drill" if t.drill else "station"
        e = Episode(TENANT, STATION, EPISODE, T0, 4, self.now_ms if ends else None, kind)  # type: ignore[arg-type]
        work.episodes[e.slot] = e
        self.write(work)

    def ends(self) -> None:
        """By itself."""
        self.now_ms += MINUTE
        work = self.work()
        work.episodes[(TENANT, STATION)] = Episode(TENANT, STATION, EPISODE, T0, 2, self.now_ms)
        self.write(work)

    @property
    def documents(self) -> list[capxml.Document]:
        return list(capxml.chained(capxml.stored(self.path)))


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    found = City(tmp_path)
    yield found
    found.store.close()


def told(documents: list[capxml.Document]) -> list[tuple[str, str, str, str]]:
    names = ("severity", "certainty", "responseType")
    return [(d.one("msgType"), *(d.one(f"info/{x}") for x in names)) for d in documents]


def test_a_night(city: City) -> None:
    """From the first level that matters to the close: one chain, each step a message."""
    city.happens(Change.RISE, 0, 1)
    city.happens(Change.RISE, 1, 2)
    city.happens(Change.RISE, 2, 4, confirmed=False)
    city.happens(Change.CONFIRMED, 2, 4)
    city.again()
    city.happens(Change.HELD, 4, 4)
    city.happens(Change.RESTORED, 4, 4)
    city.happens(Change.FALL, 4, 1)
    city.happens(Change.CLOSED, 1, 0, channel="", ends=True)
    assert told(city.documents) == [
        ("Alert", "Minor", "Observed", "Monitor"),
        ("Update", "Severe", "Likely", "Prepare"),
        ("Update", "Severe", "Observed", "Prepare"),
        ("Update", "Severe", "Observed", "Prepare"),
        ("Update", "Severe", "Observed", "Prepare"),
        ("Update", "Minor", "Observed", "Monitor"),
        ("Update", "Minor", "Observed", "AllClear"),
    ]
    assert {d.one("status") for d in city.documents} == {"Actual"}
    assert city.memory.chains == {}


def test_what_stays_below_rank_2_is_not_published(city: City) -> None:
    """Neither a rise to 1, nor silence, nor the end of such an episode, nor its rejection."""
    city.happens(Change.RISE, 0, 1)
    city.happens(Change.SILENT, 1, 1)
    city.happens(Change.STEP, 0, 0)
    city.happens(Change.REJECTED, 1, 0, ends=True)
    assert city.documents == []


def test_a_rejection_cancels(city: City) -> None:
    """With a note that it was issued in error, and nothing after it."""
    city.happens(Change.RISE, 0, 5, confirmed=False)
    city.happens(Change.REJECTED, 5, 0, channel="", ends=True)
    first, last = city.documents
    assert told([first, last]) == [("Alert", "Extreme", "Likely", "Assess"), ("Cancel", "Unknown", "Unlikely", "None")]
    assert last.one("note") == cap.NOTE_ERROR
    assert "誤報" in last.ja("headline")


def test_an_episode_that_ends_by_itself_is_over(city: City) -> None:
    """An Update with AllClear; the words promise no safety."""
    city.happens(Change.RISE, 0, 2)
    city.happens(Change.FALL, 2, 0)
    city.ends()
    *_, last = city.documents
    assert told([last]) == [("Update", "Minor", "Observed", "AllClear")]
    for word in ("安全", "解除"):
        assert word not in last.ja("description") + last.ja("headline")
    assert last.ja("description").endswith("避難情報の発令ではありません。")


def test_the_worst_channel_speaks(city: City) -> None:
    """A second sensor that falls does not lower what the first one shows."""
    city.happens(Change.RISE, 0, 4)
    city.happens(Change.RISE, 0, 3, channel="second")
    city.happens(Change.FALL, 3, 0, channel="second")
    assert [x[1] for x in told(city.documents)] == ["Severe"] * 3


def test_a_close_in_danger_gives_no_all_clear(city: City) -> None:
    """Whoever closes by force while the water stands high ends the messages, and says nothing of the danger."""
    city.happens(Change.RISE, 0, 4)
    city.happens(Change.CLOSED, 4, 0, channel="", ends=True)
    assert told(city.documents)[-1] == ("Update", "Minor", "Observed", "Monitor")


def test_what_passed_unseen_is_past(city: City) -> None:
    """A level that backlog shows afterwards: past, as severe as it was."""
    city.now_ms += MINUTE
    work = city.work()
    work.transitions.append(city.transition(Change.PAST, 0, 4, at_ms=T0 - HOUR))
    city.write(work)
    (d,) = city.documents
    assert (d.one("info/urgency"), d.one("info/severity"), d.one("info/responseType")) == ("Past", "Severe", "Assess")


def test_a_drill_is_an_exercise_beside_the_real_chain(city: City) -> None:
    """Marked at both ends of every text, with a note; its own states do not speak of the real water."""
    city.happens(Change.RISE, 0, 4, drill=True)
    city.happens(Change.CLOSED, 4, 0, drill=True, channel="", ends=True)
    assert [d.one("status") for d in city.documents] == ["Exercise", "Exercise"]
    assert told(city.documents)[-1][3] == "AllClear"


def test_a_simulation_is_no_actual_alert(tmp_path: Path) -> None:
    """A bridge of a simulation cannot publish what somebody might believe."""
    city = City(tmp_path, simulation=True)
    city.happens(Change.RISE, 0, 5)
    assert city.documents[0].one("status") == "Test"
    city.store.close()


def test_the_facts_behind_the_text(city: City) -> None:
    """Value, unit, datum, threshold with its authority and basis, level table and version, flag."""
    work = city.work()
    work.observations.append(world.observation(1, 3.1, observed_ms=city.now_ms - 500, flag=Flag.GOOD))
    work.transitions.append(city.transition(Change.RISE, 0, 4, level="danger"))
    city.write(work)
    facts = city.documents[0].parameters
    assert len(facts.pop("threshold_version")) == 8
    assert facts == {
        "rank": "4", "level_table": "jp-2026", "datum": "T.P.", "value": "3.10", "unit": "m", "level": "danger",
        "threshold": "3.00", "authority": "県", "basis": "基準水位観測所", "source": "a test", "flag": "1",
        "condition": "unknown",
    }  # fmt: skip


def test_names_are_those_of_the_notifications(city: City) -> None:
    """A notification names its CAP message, so that both can be found."""
    city.now_ms += MINUTE
    work = city.work()
    work.observe([world.observation(1, 3.5, observed_ms=city.now_ms, received_ms=city.now_ms)])
    city.write(work)
    bodies = [msgspec.json.decode(x.body) for x in work.owed if isinstance(x, Owed)]
    assert [d.one("identifier") for d in city.documents] == list({x["cap_identifier"]: 0 for x in bodies})


def test_a_repeat_is_the_same_document(city: City) -> None:
    """What is told again at another time keeps the document of the first time, byte for byte."""
    city.happens(Change.RISE, 0, 4)
    rows = storefile.rows(city.path, "SELECT * FROM cap")
    work = city.work()
    work.transitions.append(replace(city.transition(Change.RISE, 0, 4), at_ms=city.now_ms - 500))
    work.rules = replace(work.rules, now_ms=city.now_ms + 7000)
    city.write(work)
    assert storefile.rows(city.path, "SELECT * FROM cap") == rows


def test_without_a_sender_nothing_is_made(tmp_path: Path) -> None:
    """A house that publishes nothing keeps nothing of it."""
    city = City(tmp_path)
    city.bridge = replace(city.bridge, cap=None)
    city.happens(Change.RISE, 0, 4)
    assert city.documents == []
    city.store.close()


def test_what_would_expire_is_renewed_while_it_lasts(city: City) -> None:
    """A flood that stands for days is never withdrawn by a date, also after a restart; what ended is not renewed."""
    city.happens(Change.RISE, 0, 4)
    until = city.now_ms + 3 * 24 * HOUR
    while city.now_ms < until:
        city.now_ms += 20 * MINUTE
        city.again()
        work = city.work()
        work.cap.renewals = capping.renewals(work)
        city.write(work)
    found = city.documents
    assert len(found) == 4
    for earlier, later in itertools.pairwise(found):
        assert later.one("sent") < earlier.one("info/expires")
        assert told([later])[0][1:] == told([earlier])[0][1:]
    assert found[-1].ja("description").count("継続") == 1
    city.ends()
    city.now_ms += 48 * HOUR
    work = city.work()
    assert capping.renewals(work) == []


# --- any episode ---------------------------------------------------------------------------------------------------

ranks = st.integers(0, 5)
steps = st.lists(
    st.tuples(
        st.sampled_from([c for c in Change if c not in (Change.REJECTED, Change.CLOSED)]),
        ranks,
        ranks,
        st.booleans(),
        st.sampled_from(["water_level", "second", ""]),
        st.one_of(st.none(), st.floats(-5, 20)),
    ),
    max_size=25,
)
last_words = st.sampled_from([Change.REJECTED, Change.CLOSED, None])


@given(steps=steps, last=last_words, drill=st.booleans(), restart=st.integers(0, 30))
@limits(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_episode_makes_valid_documents(
    tmp_path: Path, steps: list[Any], last: Change | None, drill: bool, restart: int
) -> None:
    """Whatever happens in whatever order: valid, one chain that names all before, no order that nobody gave."""
    city = City(tmp_path)
    for i, (change, from_rank, to_rank, confirmed, channel, value) in enumerate(steps):
        if i == restart:
            city.again()
        more = {"confirmed": confirmed, "channel": channel, "value": value, "drill": drill}
        city.happens(change, from_rank, to_rank, **more)
    if last is not None:
        city.happens(last, 3, 0, channel="", ends=True, drill=drill)
    documents = city.documents
    city.store.close()
    answers = {x for d in documents for x in d.all("info/responseType")}
    assert not answers & set(cap.BY_ORDER)
    clear = Change.REJECTED if not drill else last
    ended = [i for i, d in enumerate(documents) if d.one("info/responseType") in ("AllClear", "None")]
    assert ended == ([len(documents) - 1] if documents and last and last is clear else [])
    assert len({d.one("identifier") for d in documents}) == len(documents)
