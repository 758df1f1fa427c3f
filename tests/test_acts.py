"""What people do about alerts: in the store, in memory after its commit, and after a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import alerting, journal, settings, storefile
from gateway.bridge.notify import Outcome
from gateway.bridge.requests import Requests
from gateway.bridge.store import Store
from gateway.bridge.work import Rules, Work
from gateway.channelstate import ChannelState, Context
from gateway.episodes import Course, Episode, Suspension
from gateway.model import Condition, Flag
from gateway.people import Member, People, Plan, Role
from gateway.stations import Registry
from tests import world
from tests.places import LEVELS
from tests.world import STATION, T0, TENANT

HOUR = 3_600_000
PEOPLE = People(
    {"duty": Role("duty", "当直", "Duty"), "crisis": Role("crisis", "危機管理課", "Crisis")},
    (Member("duty", "当直", ("desk",)), Member("crisis", "山田", ("voice:yamada",))),
    (Plan(2, ("duty",)), Plan(3, ("duty", "crisis"))),
    lambda _: False,
)
MUTE = Suspension("mute", TENANT, STATION, T0, T0 + HOUR, "tanaka", "patrol is there", 3)


def test_a_suspension_is_kept_until_it_ends(tmp_path: Path) -> None:
    """A mute is in force from its commit on, after a restart too, and never beyond its end."""
    bridge, key = world.bridge(tmp_path / "store.db"), ("mute", TENANT, STATION)
    store = Store(bridge.store)
    memory = store.load()
    work = world.work(memory, bridge)
    work.suspensions[key] = MUTE
    assert work.suspended(*key) == MUTE
    assert world.work(memory, bridge).suspended(*key) is None
    store.commit(work)
    work.swap_in()
    store.close()
    store = Store(bridge.store)
    memory = store.load()
    assert world.work(memory, bridge, T0 + HOUR - 1).suspended(*key) == MUTE
    assert world.work(memory, bridge, T0 + HOUR).suspended(*key) is None
    assert world.work(memory, bridge).suspended("maintenance", TENANT, STATION) is None
    work = world.work(memory, bridge, T0 + HOUR)
    work.suspensions[key] = None
    store.commit(work)
    work.swap_in()
    assert memory.suspensions == {} == store.load().suspensions
    store.close()


# --- what is asked of the bridge ---------------------------------------------------------------------------------


class Room:
    """A bridge's store and requests, and a gauge at its station; the clock stands where the test puts it."""

    def __init__(
        self,
        folder: Path,
        people: People | None = PEOPLE,
        phone: settings.Recipient | None = None,
        topic: bool = False,
        **more: Any,
    ) -> None:
        desk = settings.Recipient("desk", "console")
        phone = phone or settings.Recipient("voice:yamada", "console")
        self.settings = world.bridge(
            folder / "store.db", recipients=(desk, phone), people=people, alert_topic=topic, **more
        )
        self.registry = world.registry()
        self.now_ms, self._seq = T0, 0
        self._open()

    def _open(self) -> None:
        self.store = Store(self.settings.store)
        self.memory = self.store.load()
        self.requests = Requests(self.settings.store)

    def restart(self) -> None:
        self.store.close()
        self._open()

    def rules(self) -> Rules:
        return Rules(self.registry, self.settings, self.now_ms, None, T0 - HOUR)

    def write(self, work: Work) -> None:
        self.store.commit(work)
        work.swap_in()

    def reads(self, *values: float, flag: Flag = Flag.GOOD, every_ms: int = 60_000) -> None:
        for value in values:
            self.now_ms += every_ms
            self._seq += 1
            work = Work(self.memory, self.rules())
            work.observe([world.observation(self._seq, value, observed_ms=self.now_ms, flag=flag)])
            work.tick()
            self.write(work)

    def passes(self, ms: int, every_ms: int = 60_000) -> None:
        """Time, in which the gauge goes on."""
        for _ in range(ms // every_ms):
            self.reads(self.value, every_ms=every_ms)

    def ask(self, kind: str, by: str = "tanaka", **body: Any) -> dict[str, Any]:
        request = storefile.ask(self.settings.store, kind, json.dumps(body), by, self.now_ms)
        self.requests.serve(self.memory, self.rules, self.write)
        state, answer = storefile.answer(self.settings.store, request)
        return {"state": state, **json.loads(answer or "{}")}

    @property
    def state(self) -> ChannelState:
        return self.memory.states[(TENANT, STATION, "water_level")]

    @property
    def value(self) -> float:
        return self.state.value or 0.0

    @property
    def episode(self) -> Episode | None:
        return self.memory.episodes.get((TENANT, STATION))

    def told(self) -> list[str]:
        """What was owed since the last look: ring or told, recipient, change."""
        rows = storefile.rows(self.settings.store, "SELECT id, key, recipient, body FROM outbox ORDER BY id")
        seen, self._looked = getattr(self, "_looked", 0), max([row[0] for row in rows], default=0)
        found = []
        for i, _, recipient, body in rows:
            if i > seen:
                said = json.loads(body)
                found.append(f"{'ring' if said['rings'] else 'told'} {recipient} {said.get('change', 'test')}")
        return found


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    built = Room(tmp_path)
    yield built
    built.store.close()


def test_seen(room: Room) -> None:
    """Acknowledging ends the call; asked twice it is done once and says who was first."""
    room.reads(2.6)
    assert room.told() == ["ring desk rise"]
    first = room.ask("alert.acknowledge", episode=STATION)
    assert (first["state"], first["already"], first["by"]) == ("done", False, "tanaka")
    again = room.ask("alert.acknowledge", "suzuki", episode=first["episode"])
    assert (again["already"], again["by"]) == (True, "tanaka")
    room.passes(30 * 60_000)
    assert room.told() == []


def test_a_phone_is_owed_nothing_that_it_cannot_be_told(tmp_path: Path) -> None:
    """What does not ring is not owed to a dialled phone, so nobody reads that it was sent; what rings is."""
    phone = settings.Recipient("voice:yamada", "voice", url="http://127.0.0.1:9/", to="+81878390001")
    room = Room(tmp_path, phone=phone)
    room.reads(3.2)
    room.passes(4 * 60_000)
    assert room.told() == ["ring desk rise", "ring voice:yamada rise"]
    assert room.ask("alert.acknowledge", episode=STATION)["state"] == "done"
    room.reads(*[0.4] * 40)
    assert room.ask("alert.close", episode=STATION)["state"] == "done"
    assert room.told() == ["told desk fall", "told desk closed"]
    room.store.close()


def test_unseen_the_next_role_is_called_also_after_a_restart(room: Room) -> None:
    """After its time the next role is rung once, though the bridge was restarted in between."""
    room.reads(3.2)
    assert room.told() == ["ring desk rise"]
    room.restart()
    room.passes(2 * 60_000)
    assert room.told() == []
    room.passes(60_000)
    assert room.told() == ["ring voice:yamada rise"]
    room.restart()
    room.passes(60_000)
    assert room.told() == []


def test_a_medium_that_gives_up_moves_the_call_on(room: Room) -> None:
    """An outcome 'given up' of the call under way calls the next role at the next look."""
    room.reads(3.2)
    (row,) = storefile.rows(room.settings.store, "SELECT id, key FROM outbox")
    work = Work(room.memory, room.rules())
    work.report([Outcome(row[0], "given_up", 1, "no such number", row[1])])
    work.tick()
    room.write(work)
    assert room.told() == ["ring desk rise", "ring voice:yamada rise"]


def test_confirming_makes_the_claim_stand(room: Room) -> None:
    """An unconfirmed rank that a person has seen becomes the station's rank; the basis and who stand in the episode."""
    room.reads(2.2, 2.2, 2.2)
    room.reads(3.2, flag=Flag.SUSPECT)
    assert (room.state.rank, room.state.unconfirmed) == (2, 4)
    answer = room.ask("alert.confirm", episode=STATION, basis="camera", note="seen at the bridge")
    assert (answer["state"], answer["rank"]) == ("done", 4)
    assert (room.state.rank, room.state.unconfirmed) == (4, 0)
    assert room.episode is not None
    course = room.episode.course
    assert (course.judgement, course.judged_by, course.basis) == ("confirmed", "tanaka", "camera")
    assert room.episode.max_rank == 4
    assert room.ask("alert.confirm", episode=STATION, basis="camera")["already"]
    assert room.told()[-1] == "told desk confirmed"


def test_confirming_rank_three_calls_its_plan(room: Room) -> None:
    """An unconfirmed rank 3 had rung nobody: confirmed, it does."""
    room.reads(2.6, flag=Flag.SUSPECT)
    assert room.told() == ["told desk rise"]
    room.ask("alert.confirm", episode=STATION, basis="patrol")
    assert room.told() == ["ring desk confirmed"]


def test_rejecting_corrects_and_ends(room: Room) -> None:
    """A false alarm: the episode ends, every recipient of it is told so, ringing where it rang."""
    room.reads(3.2)
    room.passes(3 * 60_000)
    assert room.told() == ["ring desk rise", "ring voice:yamada rise"]
    answer = room.ask("alert.reject", episode=STATION, basis="camera", note="a crane before the radar")
    assert (answer["state"], answer["corrected"]) == ("done", 2)
    assert room.told() == ["ring desk rejected", "ring voice:yamada rejected"]
    assert room.episode is None
    again = room.ask("alert.reject", episode=answer["episode"], basis="camera")
    assert (again["state"], again["already"]) == ("done", True)
    assert room.told() == []


def test_what_only_backlog_showed_waits_for_a_person(room: Room) -> None:
    """A peak that the water can hardly have had is told as unconfirmed; data cannot settle it any more, so the episode
    stays until somebody does, and the correction names the level that was told."""
    key = (TENANT, STATION)
    channel = room.registry.stations[key].channels["water_level"]
    limits = replace(channel.limits, fall_per_h=0.5)
    station = replace(room.registry.stations[key], channels={"water_level": replace(channel, limits=limits)})
    room.registry = Registry([station], LEVELS)
    room.reads(0.5, 0.5)
    gone_ms = room.now_ms
    room.now_ms += 3 * HOUR
    room.reads(0.6)
    work = Work(room.memory, room.rules())
    late = [(100 + i, v, gone_ms + HOUR + i * 60_000) for i, v in enumerate((3.2, 3.3, 3.3))]
    work.observe([world.observation(seq, v, observed_ms=at_ms) for seq, v, at_ms in late])
    room.write(work)
    room._seq = 200
    room.told()
    room.reads(*[0.6] * 60)
    assert [x for x in room.told() if "past" in x] == ["ring desk past"]
    assert room.episode is not None
    assert (room.episode.max_rank, room.episode.highest) == (0, 4)
    room.restart()
    assert room.ask("alert.reject", episode=STATION, basis="patrol")["state"] == "done"
    (body,) = storefile.rows(
        room.settings.store, "SELECT body FROM outbox WHERE key LIKE '%rejected%' AND recipient = 'desk'"
    )
    assert "氾濫危険水位超過は誤報でした" in json.loads(body[0])["subject"]["ja"]
    assert room.episode is None


def test_a_rejected_gauge_stays_quiet_until_it_is_below(room: Room) -> None:
    """A stuck gauge rings at none of its next samples, after a restart neither; below, and up again, it rings."""
    room.reads(3.2)
    room.ask("alert.reject", episode=STATION, basis="camera")
    room.told()
    room.restart()
    room.reads(3.2, 3.25, 3.2)
    room.reads(3.3, flag=Flag.SUSPECT)
    assert (room.told(), room.state.rank, room.state.rejected) == ([], 0, 4)
    room.reads(1.0)
    assert room.state.rejected == 0
    room.reads(3.2)
    assert (room.told(), room.state.rank) == (["ring desk rise"], 4)


def test_a_rank_above_the_rejected_one_rings(room: Room) -> None:
    """What was rejected is that rank, not the gauge: a higher one rings, but unconfirmed until the level was low."""
    room.reads(2.6)
    room.ask("alert.reject", episode=STATION, basis="phone")
    room.told()
    room.now_ms += 2 * HOUR
    room.reads(2.6, 3.2)
    assert (room.told(), room.state.rank, room.state.unconfirmed) == (["ring desk rise"], 0, 4)


def test_a_rejection_can_be_taken_back(room: Room) -> None:
    """Confirming after a rejection opens a new episode at the rank that was rejected."""
    room.reads(3.2)
    rejected = room.ask("alert.reject", episode=STATION, basis="camera")["episode"]
    room.now_ms += 60_000
    answer = room.ask("alert.confirm", "suzuki", episode=rejected, basis="patrol")
    assert (answer["state"], answer["rank"]) == ("done", 4)
    assert answer["episode"] != rejected
    assert room.state.rank == 4


def test_a_second_sensor_outweighs_a_rejection() -> None:
    """A second sensor at the site that stands as high ends the rejection of the first."""
    station = world.station()
    state = ChannelState(rejected=4, value=3.2, last_ms=T0, condition=Condition.FRESH)
    o = world.observation(1, 3.2, observed_ms=T0 + 60_000)
    for context, rank in ((Context(second_rank=3), 0), (Context(second_rank=4), 4)):
        channel = station.channels["water_level"]
        after, _ = alerting.advance(state, o, station, channel, o.observed_ms, None, context)
        assert after.rank == rank


def test_closing(room: Room) -> None:
    """A person closes; while fresh data are above rank 3 only with force and a reason."""
    room.reads(2.6)
    room.ask("alert.acknowledge", episode=STATION)
    refused = room.ask("alert.close", episode=STATION)
    assert refused["state"] == "refused"
    assert "避難判断水位, 2.60 m" in refused["reason"]
    assert room.ask("alert.close", episode=STATION, force=True)["state"] == "refused"
    room.passes(2 * HOUR)
    room.reads(*[1.0] * 40)
    assert room.state.rank == 0
    assert room.episode is not None
    room.told()
    answer = room.ask("alert.close", episode=STATION)
    assert (answer["state"], answer["already"], room.episode) == ("done", False, None)
    assert room.told() == ["told desk closed"]
    assert room.ask("alert.close", episode=answer["episode"])["already"]


def test_closing_by_force(room: Room) -> None:
    """With a reason an episode is closed though the level stands; the next higher rank opens another."""
    room.reads(2.6)
    answer = room.ask("alert.close", episode=STATION, force=True, note="pumped, the river office agrees")
    assert (answer["state"], room.state.rank, room.episode) == ("done", 3, None)
    room.told()
    room.now_ms += HOUR
    room.reads(2.6, 3.1)
    assert room.told() == ["ring desk rise"]


def test_closing_what_is_held(room: Room) -> None:
    """A rank that is only held, because the gauge is gone, ends with the episode, and nothing holds it again."""
    room.reads(3.2)
    room.now_ms += 10 * 60_000
    work = Work(room.memory, room.rules())
    work.tick()
    room.write(work)
    assert room.state.held
    assert room.ask("alert.close", episode=STATION)["state"] == "done"
    assert (room.state.rank, room.state.held, room.episode) == (0, False, None)


def test_mute(room: Room) -> None:
    """A muted station rings nobody, until a higher rank comes; never longer than 12 hours, never all stations."""
    assert "longest mute" in room.ask("alert.mute", station=STATION, for_s=13 * 3600)["reason"]
    assert "no station '*'" in room.ask("alert.mute", station="*", for_s=60)["reason"]
    assert room.ask("alert.mute", station=STATION, for_s=7200)["state"] == "done"
    assert ("mute", TENANT, STATION) in room.memory.suspensions
    room.reads(1.0)
    work = Work(room.memory, room.rules())
    assert work.suspended("mute", TENANT, STATION) is not None
    room.reads(2.2, 2.2)
    assert room.told() == ["ring desk rise"]
    assert room.memory.suspensions == {}


def test_a_mute_at_a_rank_lasts_at_that_rank(room: Room) -> None:
    """Muted at rank 3 the call does not go on, and a rise to rank 4 rings."""
    room.reads(2.6)
    room.ask("alert.mute", station=STATION, for_s=7200)
    room.told()
    room.passes(HOUR)
    assert room.told() == []
    room.reads(3.2)
    assert room.told() == ["ring desk rise"]


def test_a_gauge_lost_at_its_crest_ends_a_mute(room: Room) -> None:
    """Who muted rank 3 knows the water, not that nobody sees it any more."""
    room.reads(2.6)
    room.ask("alert.mute", station=STATION, for_s=7200)
    room.told()
    for _ in range(10):
        room.now_ms += 60_000
        work = Work(room.memory, room.rules())
        work.tick()
        room.write(work)
    assert room.state.held
    assert [x for x in room.told() if "held" in x][:1] == ["ring desk held"]
    assert room.memory.suspensions == {}


def test_a_mute_ends_by_itself(room: Room) -> None:
    """Its end is noted without anybody asking; unmuting ends it before, and twice is once."""
    room.ask("alert.mute", station=STATION, for_s=120)
    room.reads(1.0, 1.0, 1.0)
    assert room.memory.suspensions == {}
    room.ask("alert.mute", station=STATION, for_s=7200)
    assert room.ask("alert.unmute", station=STATION)["already"] is False
    assert room.ask("alert.unmute", station=STATION)["already"] is True


def test_maintenance(room: Room) -> None:
    """Begun and ended; at a station that stands high only with force and a reason."""
    assert room.ask("maintenance.begin", station=STATION, for_s=3600)["state"] == "done"
    assert ("maintenance", TENANT, STATION) in room.memory.suspensions
    assert room.ask("maintenance.end", station=STATION)["already"] is False
    room.reads(2.6)
    assert "避難判断水位" in room.ask("maintenance.begin", station=STATION, for_s=3600)["reason"]
    done = room.ask("maintenance.begin", station=STATION, for_s=3600, force=True, note="rebuilt")
    assert done["state"] == "done"


def test_the_alert_topic_knows_of_maintenance(tmp_path: Path) -> None:
    """Its retained message is written anew when maintenance begins, is prolonged and ends, by a person or by its time:
    no old rank and no calm stands there, and people are told nothing."""
    room = Room(tmp_path, topic=True)
    room.reads(2.6)
    room.told()
    room.ask("maintenance.begin", station=STATION, for_s=3600, force=True, note="rebuilt")
    room.ask("maintenance.begin", station=STATION, for_s=7200, force=True, note="longer")
    room.passes(2 * HOUR + 60_000, every_ms=10 * 60_000)
    query = "SELECT key, recipient, body FROM outbox WHERE key LIKE '%//maintenance%' ORDER BY id"
    rows = [(key, recipient, json.loads(body)) for key, recipient, body in storefile.rows(room.settings.store, query)]
    assert len({key for key, _, _ in rows}) == 3
    assert {recipient for _, recipient, _ in rows} == {"_alerts"}
    changes = [(b["change"], b["condition"], b["rank"]) for _, _, b in rows]
    assert changes == [*[("maintenance", "maintenance", 0)] * 2, ("maintenance_ended", "unknown", 0)]
    assert rows[0][2]["text"]["ja"].startswith("春日橋：点検中\n")
    assert "監視を再開しました" in rows[2][2]["text"]["ja"]
    room.store.close()


def test_forced_maintenance_ends_the_call(room: Room) -> None:
    """Nobody is called on about a station that is under work, and its rings do not follow later."""
    room.reads(3.2)
    room.ask("maintenance.begin", station=STATION, for_s=7200, force=True, note="rebuilt")
    room.told()
    for _ in range(10):
        room.now_ms += 60_000
        work = Work(room.memory, room.rules())
        work.alerts.telling.tick()
        room.write(work)
    assert [x for x in room.told() if x.startswith("ring")] == []


def test_a_common_cause_is_acknowledged_and_not_closed(room: Room) -> None:
    """It ends when its stations are heard again; seen it can be, by its name."""
    course = Course(group="area=東部", stations=(STATION,))
    cause = Episode(TENANT, "", "cause.1", T0, 0, kind="cause", course=course)
    work = Work(room.memory, room.rules())
    work.episodes[cause.slot] = cause
    room.write(work)
    assert "ends when its stations are heard" in room.ask("alert.close", episode="cause.1")["reason"]
    assert "about missing data" in room.ask("alert.reject", episode="cause.1", basis="phone")["reason"]
    assert room.ask("alert.acknowledge", episode="cause.1")["already"] is False
    assert room.ask("alert.acknowledge", episode="cause.1")["already"] is True


def test_a_drill_walks_the_plan_beside_the_river(room: Room) -> None:
    """It has an episode of its own, calls role by role, and ends by command; the station's own state is untouched."""
    room.reads(1.0)
    answer = room.ask("drill.begin", station=STATION, rank=4)
    assert room.ask("drill.begin", station=STATION, rank=4)["already"]
    assert room.told() == ["ring desk rise"]
    assert (room.state.rank, room.episode) == (0, None)
    room.passes(3 * 60_000)
    assert room.told() == ["ring voice:yamada rise"]
    assert room.ask("alert.confirm", episode=answer["episode"], basis="camera")["state"] == "refused"
    assert room.ask("alert.acknowledge", episode=answer["episode"])["state"] == "done"
    room.reads(3.2)
    assert room.told() == ["ring desk rise"]
    assert room.ask("drill.end", station=STATION)["already"] is False
    assert room.told() == ["told desk closed", "told voice:yamada closed"]
    assert room.ask("drill.end", station=STATION)["already"] is True


def test_a_drill_cannot_be_mistaken(room: Room) -> None:
    """Its subject and text begin and end with the mark, its end too, and nothing of it is on the alert topic."""
    room.settings = replace(room.settings, alert_topic=True)
    room.reads(2.7)
    room.ask("drill.begin", station=STATION, rank=4)
    room.ask("drill.end", station=STATION)
    rows = storefile.rows(room.settings.store, "SELECT recipient, body FROM outbox")
    drills = [(name, json.loads(body)) for name, body in rows if json.loads(body)["drill"]]
    assert {name for name, _ in drills} == {"desk"}
    assert [b["change"] for _, b in drills] == ["rise", "closed"]
    for _, body in drills:
        for part in ("subject", "text"):
            for language, mark in (("ja", "【訓練】"), ("en", "[DRILL]")):
                assert body[part][language].startswith(mark)
                assert body[part][language].endswith(mark)
        assert (body["confirmed_rank"], "↑" in body["text"]["ja"]) == (0, False)
    assert "訓練を終了しました" in drills[1][1]["text"]["ja"]


def test_what_a_person_did_is_told_with_the_last_value(room: Room) -> None:
    """A correction names the level that was false, with what was measured and when, not when somebody typed."""
    room.reads(3.2)
    room.now_ms += 5 * 60_000
    room.ask("alert.reject", episode=STATION, basis="camera")
    (body,) = [json.loads(x[0]) for x in storefile.rows(room.settings.store, "SELECT body FROM outbox")][-1:]
    assert "訂正 春日橋 氾濫危険水位超過は誤報でした" in body["subject"]["ja"]
    assert "3.20 m" in body["text"]["ja"]
    assert "01:01" in body["text"]["ja"]


def test_one_ring_for_several_says_so(room: Room) -> None:
    """The ring that stands for others names the worst and how many more there are."""
    names = ("a", "b", "c")
    stations = [replace(world.station(n, f"d-{n}"), river="春日川") for n in names]
    room.registry = world.registry(*stations)
    for n, value in zip(names, (3.2, 2.6, 2.7), strict=True):
        work = Work(room.memory, room.rules())
        work.observe([world.observation(1, value, station=n, device=f"d-{n}", observed_ms=T0)])
        room.write(work)
    assert room.told() == ["ring desk rise", "told desk rise", "told desk rise"]
    for _ in range(10):
        room.now_ms += 60_000
        work = Work(room.memory, room.rules())
        work.alerts.telling.tick()
        room.write(work)
    bodies = [json.loads(x[0]) for x in storefile.rows(room.settings.store, "SELECT body FROM outbox ORDER BY id")]
    (later,) = [b for b in bodies if b["more"]]
    assert (later["rings"], later["more"], later["rank"]) == (True, 1, 3)
    assert "（ほか1件の通報が届いています）" in later["text"]["ja"].splitlines()[0]


def test_a_drill_ends_by_itself_and_may_call_everybody_at_once(room: Room) -> None:
    """Every role of the plan at once; after its time it is over."""
    assert "longest drill" in room.ask("drill.begin", station=STATION, rank=4, for_s=13 * 3600)["reason"]
    room.ask("drill.begin", station=STATION, rank=4, every=True, for_s=600)
    assert room.told() == ["ring desk rise", "ring voice:yamada rise"]
    room.reads(*[1.0] * 12)
    assert room.told()[-2:] == ["told desk closed", "told voice:yamada closed"]
    assert room.memory.episodes == {}


def test_a_test_of_the_call(room: Room) -> None:
    """Everybody gets a message that says it is a test; who answers is kept, once."""
    answer = room.ask("alert.test")
    assert answer["recipients"] == ["desk", "voice:yamada"]
    assert room.told() == ["ring desk test", "ring voice:yamada test"]
    bodies = [json.loads(x[0]) for x in storefile.rows(room.settings.store, "SELECT body FROM outbox")]
    assert all(
        b["subject"]["ja"].startswith("【通報試験】") and b["text"]["ja"].endswith("【通報試験】") for b in bodies
    )
    assert room.ask("alert.acknowledge", test=answer["test"], recipient="nobody")["state"] == "refused"
    room.ask("alert.acknowledge", "suzuki", test=answer["test"], recipient="desk")
    room.ask("alert.acknowledge", "yamada", test=answer["test"], recipient="desk")
    rows = storefile.rows(room.settings.store, "SELECT recipient, answered_by FROM alert_tests ORDER BY recipient")
    assert rows == [("desk", "suzuki"), ("voice:yamada", None)]


REFUSED = [
    ("alert.acknowledge", {"episode": "nowhere"}, "there is no open episode 'nowhere'"),
    ("alert.confirm", {"episode": STATION}, "say what it rests on"),
    ("alert.confirm", {"episode": STATION, "basis": "rumour"}, "it cannot be read"),
    ("alert.mute", {"station": "nowhere", "for_s": 60}, "there is no station 'nowhere'"),
    ("alert.mute", {"station": STATION, "for_s": 0}, "the longest mute"),
    ("drill.begin", {"station": STATION, "rank": 1}, "a drill is of rank 2 to 5"),
    ("alert.test", {"recipients": ["nobody"]}, "there is no recipient 'nobody'"),
    ("alert.close", {"episode": STATION, "everything": True}, "it cannot be read"),
]


@pytest.mark.parametrize(("kind", "body", "reason"), REFUSED)
def test_what_is_refused(room: Room, kind: str, body: dict[str, Any], reason: str) -> None:
    """A plain reason, and nothing of it is done."""
    answer = room.ask(kind, **body)
    assert answer["state"] == "refused"
    assert reason.lower() in answer["reason"].lower()
    assert (room.memory.suspensions, room.memory.episodes) == ({}, {})


def test_the_journal_has_what_people_did(room: Room) -> None:
    """Each act is an entry with who did it, in the batch of its request."""
    entries: list[journal.Entry] = []
    write = room.write
    room.write = lambda work: (entries.extend(work.entries), write(work))[1]  # type: ignore[method-assign]
    room.reads(3.2)
    room.ask("alert.acknowledge", episode=STATION)
    room.ask("alert.reject", "suzuki", episode=STATION, basis="camera", note="a crane")
    room.ask("alert.mute", station=STATION, for_s=60)
    kinds = [(x.kind.value, x.by, (x.body or {}).get("action")) for x in entries if x.by]
    assert kinds == [
        ("acknowledged", "tanaka", "acknowledged"),
        ("judged", "suzuki", "rejected"),
        ("suspended", "tanaka", "begin"),
    ]
