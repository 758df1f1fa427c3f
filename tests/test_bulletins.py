"""Bulletins of the Meteorological Agency: what is in a document, whom it concerns, that each is read once and kept, and
that nobody takes what was not heard for nothing. Against a feed on loopback, in the agency's format."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway import bulletin, bulletinstanding, config, journalfile, settings, storefile
from gateway.bridge import bulletins
from gateway.bridge.bulletins import Reader
from gateway.bridge.outlets import Outlets
from gateway.bridge.service import Service
from gateway.bridge.work import Work
from gateway.bulletin import BadBulletin
from gateway.clock import SystemClock
from gateway.disk import DISK
from gateway.errors import NoticeCode, Unavailable
from simulators import bulletinfeed
from simulators.bulletinfeed import BulletinFeed, Issued
from tests import world
from tests.world import T0

MINUTE, HOUR = 60_000, 3_600_000


class Time:
    def __init__(self) -> None:
        self.ms = T0

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def agency(now: Time) -> Iterator[BulletinFeed]:
    found = BulletinFeed(now_ms=now)
    yield found
    found.stop()


@pytest.fixture
def to(agency: BulletinFeed) -> settings.Bulletins:
    return of(agency)


def of(agency: BulletinFeed, **more: object) -> settings.Bulletins:
    base = settings.Bulletins(
        f"{agency.url}/extra.xml", f"{agency.url}/extra_l.xml", ("高松",), (), {"高松市": "takamatsu"}, 1.0
    )
    return replace(replace(base, timeout_s=2.0), **more)


class House:
    """The writer's side, without the rest of a bridge."""

    def __init__(self, folder: Path, to: settings.Bulletins, now: Time) -> None:
        self.service = Service(world.bridge(folder / "store.db", bulletins=to), world.registry(), SystemClock())
        self.now, self.to = now, to
        self.begin()

    def begin(self) -> None:
        """Also as after a kill: what was not written is forgotten."""
        service = self.service
        found = Outlets(service._bridge, world.registry, self.now, DISK, keep=service._store.note)
        self.outlets = found
        assert found.bulletins is not None
        self.reader: Reader = found.bulletins

    def hand_over(self) -> None:
        work = Work(self.service._memory, self.service._rules())
        self.outlets.conditions(work)
        self.service._write(work)

    def round(self) -> float:
        rest_s = self.reader.round()
        self.hand_over()
        self.hand_over()  # what stands there now is settled
        return rest_s

    def rows(self) -> list[tuple[str, str]]:
        """(tenant, what is shown in short) of what was received."""
        rows = journalfile.rows(self.service._bridge.store)
        return [(x.tenant, x.facts["received"].get("short", x.facts["text"])) for x in rows if x.kind == "bulletin"]

    @property
    def standing(self) -> bulletinstanding.Standing:
        found = bulletinstanding.read(self.service._bridge.store)
        assert found is not None
        return found


@pytest.fixture
def house(tmp_path: Path, to: settings.Bulletins, now: Time) -> Iterator[House]:
    found = House(tmp_path, to, now)
    yield found
    found.service._store.close()


# --- a document ------------------------------------------------------------------------------------------------------

BASE = Issued(("レベル３氾濫警報",), ("香東川",), event="37001", headline="香東川では、避難判断水位に到達", at_ms=T0)


RAIN = "気象警報・注意報（Ｒ０６）（大雨）"


def parsed(x: Issued) -> bulletin.Bulletin:
    return bulletin.document(bulletinfeed.document(x).encode())


def test_a_document_is_read_as_it_is() -> None:
    """Title, office, time, event, what holds where; nothing is judged or renamed."""
    found = parsed(replace(BASE, office="国土交通省四国地方整備局　高松地方気象台", serial="3"))
    assert (found.title, found.head) == ("指定河川洪水予報", "香東川の指定河川洪水予報")
    assert found.office == "国土交通省四国地方整備局 高松地方気象台"
    assert (found.status, found.info, found.event, found.serial) == ("real", "発表", "37001", "3")
    assert found.reported_ms == T0
    said = bulletin.said(found, {"香東川"})
    assert said is not None
    assert bulletin.sentence(found, said) == "レベル３氾濫警報　香東川"
    assert bulletin.said(found, {"春日川"}) is None


def test_an_area_is_known_by_its_code_too() -> None:
    """A code is stable where a name may be spelled anew."""
    code = bulletinfeed._code("香東川")
    said = bulletin.said(parsed(BASE), {code})
    assert said is not None
    assert said.areas == ("香東川",)


@pytest.mark.parametrize(
    ("states", "told", "over"),
    [
        ((("大雨警報", "発表"), ("洪水注意報", "継続")), "大雨警報・洪水注意報　高松市", False),
        ((("大雨警報", "解除"), ("洪水注意報", "継続")), "大雨警報（解除）・洪水注意報　高松市", False),
        ((("大雨警報", "解除"),), "大雨警報（解除）　高松市", True),
        ((("解除", "解除"),), "香川県気象警報・注意報（大雨）　解除　高松市", True),
        (
            (("", "発表警報・注意報はなし"),),
            "香川県気象警報・注意報（大雨）　発表警報・注意報はなし　高松市",
            True,
        ),
    ],
)
def test_the_body_says_what_became_of_each(states: tuple[tuple[str, str], ...], told: str, over: bool) -> None:
    """Lifted, continued, or that nothing is in force: the headline names only where something is, and is not asked
    where the body tells."""
    x = Issued(
        ("雷注意報",), ("高松市",), title=RAIN, head="香川県気象警報・注意報（大雨）", at_ms=T0,
        body=((("高松市", "三木町"), states),),
    )  # fmt: skip
    found = parsed(x)
    said = bulletin.said(found, {"高松市"})
    assert (bulletin.sentence(found, said), bulletin.over(found, said)) == (told, over)


@pytest.mark.parametrize(("info", "tail", "over"), [("訂正", "（訂正）", False), ("取消", "（取消）", True)])
def test_corrections_and_withdrawals_are_told(info: str, tail: str, over: bool) -> None:
    """As what they are; one that was withdrawn holds no more."""
    found = parsed(replace(BASE, info=info))
    said = bulletin.said(found, {"香東川"})
    assert bulletin.sentence(found, said) == f"レベル３氾濫警報{tail}　香東川"
    assert bulletin.over(found, said) is over


BOMB = b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Report>&b;</Report>'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not XML"),
        (b"<html>", "not XML"),
        (b"<Report></Report>", "not a document"),
        (BOMB, "document type"),
        (b'<!DOCTYPE r SYSTEM "file:///etc/passwd"><Report/>', "document type"),
        (b"<Report>" + b"x" * bulletin.MAX_DOCUMENT + b"</Report>", "larger than"),
        (bulletinfeed.document(replace(BASE, status="?")).encode(), "real, a drill or a test"),
        (bulletinfeed.document(BASE).replace("+09:00", "").encode(), "a time of it"),
        (b"\xff\xfe<", "not XML"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes, why: str) -> None:
    """With what it is not, and nothing of it; nothing is expanded or fetched for it."""
    with pytest.raises(BadBulletin, match=why):
        bulletin.document(data)


ATOM = b'<feed xmlns="http://www.w3.org/2005/Atom"><updated>2025-11-24T16:00:00Z</updated>'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<html></html>", "not an Atom feed"),
        (BOMB.replace(b"Report", b"feed"), "document type"),
        (ATOM, "not XML"),
        (ATOM + b"<entry><updated>2025-11-24T16:00:00Z</updated></entry></feed>", "names no document"),
        (ATOM + b"<entry><id>x</id></entry></feed>", "a time of it"),
        (ATOM + b"<entry><id>x</id><updated>soon</updated></entry></feed>", "a time of it"),
        (b"<feed></feed>", "a time of it"),
    ],
)
def test_what_is_no_feed_is_refused(data: bytes, why: str) -> None:
    """Whole: half a feed would be bulletins that nobody missed."""
    with pytest.raises(BadBulletin, match=why):
        bulletin.feed(data)


@given(data=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@hypothesis_settings(max_examples=200)
def test_whatever_comes_nothing_else_is_raised(data: bytes) -> None:
    """Bytes of any kind, alone and inside of what is right."""
    inside = bulletinfeed.document(BASE).encode().replace(b"37001", data)
    for read, text in ((bulletin.document, data), (bulletin.feed, data), (bulletin.document, inside)):
        try:
            read(text)
        except BadBulletin:
            continue


@given(where=st.integers(0, 2000), size=st.integers(1, 200))
@hypothesis_settings(max_examples=200)
def test_a_document_that_is_cut_is_refused_or_whole(where: int, size: int) -> None:
    """What misses a part says so, or lacks nothing that it is made of."""
    data = bulletinfeed.document(BASE).encode()
    try:
        found = bulletin.document(data[:where] + data[where + size :])
    except BadBulletin:
        return
    assert found.status == "real"
    assert found.reported_ms


# --- reading ---------------------------------------------------------------------------------------------------------


def test_what_concerns_the_city_is_written_once(house: House, agency: BulletinFeed) -> None:
    """By its own time and office, with its words; others' are counted. Nothing is fetched twice, also after a kill."""
    mine = agency.issue("レベル３氾濫警報", areas=("高松市",), event="1", headline="新川では")
    other = agency.issue("大雨警報", areas=("丸亀市",))
    agency.issue("大雨警報", areas=("高松市",), office="高知地方気象台")
    house.round()
    assert house.rows() == [("takamatsu", "レベル３氾濫警報　高松市")]
    (row,) = journalfile.rows(house.service._bridge.store)
    assert (row.at_ms, row.by, row.facts["text"]) == (T0, bulletinfeed.OFFICE, "レベル３氾濫警報　高松市　新川では")
    assert (house.standing.fates["shown"], house.standing.fates["elsewhere"]) == (1, 1)
    house.round()
    house.begin()
    house.round()
    assert agency.documents() == [mine, other]
    assert len(house.rows()) == 1


def test_an_unchanged_feed_is_asked_for_and_not_sent_again(house: House, agency: BulletinFeed) -> None:
    """By its ETag and its date: everybody reads the same servers. The long one is read at the start alone."""
    agency.issue("大雨警報")
    for _ in range(3):
        house.round()
    feeds = [(x.path, x.status) for x in agency.asked if not x.path.startswith("/data/")]
    assert feeds == [("/extra_l.xml", 200), ("/extra.xml", 200), ("/extra.xml", 304), ("/extra.xml", 304)]
    assert agency.asked[-1].headers["If-Modified-Since"]


def test_a_kill_before_the_row_is_written_loses_nothing(house: House, agency: BulletinFeed) -> None:
    """What the writer had not committed is fetched again by the next bridge; what it had is not written twice."""
    agency.issue("大雨警報")
    house.reader.round()
    house.begin()
    assert house.rows() == []
    house.reader.round()
    house.outlets.conditions(Work(house.service._memory, house.service._rules()))  # and then the disk refuses
    house.begin()
    assert house.rows() == []
    house.reader.round()
    house.hand_over()  # written, and not yet noted as read
    house.begin()
    house.round()
    assert house.rows() == [("takamatsu", "大雨警報　高松市")]


def test_what_was_missed_in_a_gap_is_fetched(house: House, agency: BulletinFeed, now: Time) -> None:
    """The short feed has ten minutes; after a longer silence the long one is read, the oldest first."""
    house.round()
    agency.mode = "503"
    agency.issue("レベル２氾濫注意報", event="1")
    now.ms += 2 * HOUR
    agency.issue("レベル３氾濫警報", event="1")
    house.round()
    assert house.rows() == []
    assert (house.standing.reason, house.standing.heard_ms, house.standing.since_ms) == ("answer 503", T0, now.ms)
    assert house.standing.unheard(now.ms)
    agency.mode = ""
    house.round()
    assert [text for _, text in house.rows()] == ["レベル２氾濫注意報　高松市", "レベル３氾濫警報　高松市"]
    assert (house.standing.reason, house.standing.unheard(now.ms)) == (None, False)


def test_old_ones_are_no_news(house: House, agency: BulletinFeed, now: Time) -> None:
    """What is older than two days is not fetched."""
    agency.issue("大雨警報", at_ms=now.ms - 49 * HOUR)
    house.round()
    assert (agency.documents(), house.rows()) == ([], [])


def test_drills_are_marked_and_tests_counted(house: House, agency: BulletinFeed) -> None:
    """Never taken for the real thing."""
    agency.issue("大雨警報", status="訓練")
    agency.issue("大雨警報", status="試験")
    house.round()
    (row,) = journalfile.rows(house.service._bridge.store)
    assert row.facts["drill"] is True
    assert (house.standing.fates["shown"], house.standing.fates["test"]) == (1, 1)


def test_a_further_issue_that_no_longer_names_the_city_is_told(house: House, agency: BulletinFeed, now: Time) -> None:
    """Else the warning before would stand there as if it held; once, and not of one that says nothing new."""
    for areas in (("高松市", "三木町"), ("三木町",), ("三木町",)):
        now.ms += MINUTE
        agency.issue("レベル３大雨警報", areas=areas, title=RAIN)
        house.round()
        house.begin()
    texts = [text for _, text in house.rows()]
    assert texts[0] == "レベル３大雨警報　高松市"
    assert [text.endswith("記載なし（続報）") for text in texts] == [False, True]


def test_that_nothing_is_in_force_is_news_where_something_was(house: House, agency: BulletinFeed, now: Time) -> None:
    """A warning of elsewhere says so of every other place as well, with every issue."""
    for kind, state in (
        ("", "発表警報・注意報はなし"),
        ("レベル２大雨注意報", "発表"),
        ("", "発表警報・注意報はなし"),
        ("", "発表警報・注意報はなし"),
    ):
        now.ms += MINUTE
        agency.issue(areas=(), title=RAIN, head="大雨", body=((("高松市",), ((kind, state),)),))
        house.round()
    texts = [text for _, text in house.rows()]
    assert texts == ["レベル２大雨注意報　高松市", "大雨　発表警報・注意報はなし　高松市"]


def test_what_tells_of_a_moment_is_not_undone_by_the_next(house: House, agency: BulletinFeed, now: Time) -> None:
    """Another place's record rain takes nothing back, and does not stand in the place of ours; a river has its own
    event, and the next issue of it is."""
    for areas in (("高松市",), ("三木町",), ("高松市",)):
        now.ms += MINUTE
        agency.issue("記録的短時間大雨", areas=areas, title="府県気象防災速報")
    for n in (3, 4):
        now.ms += MINUTE
        agency.issue(f"レベル{n}氾濫警報", event="8700010001")
    house.round()
    rows = [x.facts["received"] for x in journalfile.rows(house.service._bridge.store)]
    assert [x["short"].partition("　")[0] for x in rows] == [
        *("記録的短時間大雨", "記録的短時間大雨", "レベル3氾濫警報", "レベル4氾濫警報")
    ]
    assert len({x["line"] for x in rows}) == 3


def test_tenants_have_their_own_areas(tmp_path: Path, agency: BulletinFeed, now: Time) -> None:
    """A row for each whom it concerns; an area that is nobody's is everybody's."""
    areas = {"高松市": "takamatsu", "三木町": "miki", "香川県": ""}
    house = House(tmp_path, of(agency, areas=areas), now)
    agency.issue("大雨警報", areas=("高松市", "三木町"))
    agency.issue("竜巻注意情報", areas=("香川県",))
    house.round()
    assert sorted(house.rows()) == [
        ("", "竜巻注意情報　香川県"),
        ("miki", "大雨警報　三木町"),
        ("takamatsu", "大雨警報　高松市"),
    ]
    house.service._store.close()


def test_only_the_kinds_that_are_asked_for(tmp_path: Path, agency: BulletinFeed, now: Time) -> None:
    """Others are not even fetched."""
    house = House(tmp_path, of(agency, titles=("指定河川洪水予報",)), now)
    agency.issue("大雨警報", title="気象警報・注意報")
    flood = agency.issue("レベル４氾濫危険警報")
    house.round()
    assert agency.documents() == [flood]
    house.service._store.close()


@pytest.mark.parametrize(
    ("mode", "fate", "told"),
    [("garbled", "unreadable", "内容を読み取れません"), ("elsewhere", "unfetched", "本文が配信元以外にある")],
)
def test_what_nobody_can_read_is_told(house: House, agency: BulletinFeed, mode: str, fate: str, told: str) -> None:
    """That there is something, and that somebody must look; never silence. Nothing is asked of another server."""
    agency.mode = mode
    agency.issue("大雨警報", title="気象警報・注意報")
    house.round()
    ((_, text),) = house.rows()
    assert text.startswith(f"気象警報・注意報　{told}")
    assert house.standing.fates[fate] == 1


def test_a_document_that_is_not_there_is_tried_again(house: House, agency: BulletinFeed) -> None:
    """It comes a moment after the feed now and then; one that never comes is told after some tries."""
    agency.issue("大雨警報")
    agency.mode = "missing"
    assert house.round() > 0
    agency.mode = ""
    house.round()
    assert house.rows() == [("takamatsu", "大雨警報　高松市")]
    agency.mode = "missing"
    agency.issue("洪水警報")
    for _ in range(bulletins.TRIES):
        assert len(house.rows()) == 1
        house.round()
    assert house.rows()[1][1].endswith("本文を取得できません。気象庁の発表を確認してください")


@pytest.mark.parametrize("mode", ["403", "503", "broken", "hang", "drop"])
def test_a_feed_that_cannot_be_read_is_known_to_be(house: House, agency: BulletinFeed, mode: str) -> None:
    """The reason and since when; it is asked less and less often, and never more often than it says."""
    agency.mode = mode
    house.reader = Reader(of(agency, timeout_s=0.3), bulletins.Known(), house.now)
    rests = [house.reader.round() for _ in range(3)]
    assert rests == [10.0, 30.0, 60.0]
    assert house.reader.failing
    agency.retry_after, agency.mode = "900", "503"
    assert house.reader.round() == 900.0
    agency.freed.set()


def test_a_feed_that_says_nothing_new_for_hours_is_told(house: House, agency: BulletinFeed, now: Time) -> None:
    """A copy that nobody renews answers as a quiet night does."""
    house.round()
    now.ms += 6 * HOUR + MINUTE
    house.round()
    assert (house.reader.failing or "").startswith("the feed says nothing newer than 2025-11-24T16")
    agency.issue("大雨警報")
    house.round()
    assert house.reader.failing is None


def test_staff_are_told_when_it_lasts(house: House, agency: BulletinFeed) -> None:
    """A notice of the house, with its reason."""
    agency.mode = "503"
    house.reader.round()
    work = Work(house.service._memory, house.service._rules())
    house.outlets.conditions(work)
    house.service._write(work)
    waiting = house.service._memory.pending[(NoticeCode.BULLETINS_UNHEARD, "", "")]
    assert (waiting.on, waiting.detail) == (True, "answer 503")


def test_one_from_the_future_does_not_stand_above_everything(house: House, agency: BulletinFeed, now: Time) -> None:
    """It happened now at the latest."""
    agency.issue("大雨警報", at_ms=now.ms + 5 * HOUR)
    house.round()
    (row,) = journalfile.rows(house.service._bridge.store)
    assert row.at_ms == now.ms


def test_the_next_minute(house: House, agency: BulletinFeed, now: Time) -> None:
    """Twenty seconds past each: by then the feed of it is written."""
    house.reader._to = replace(house.to, every_s=60.0)
    now.ms = T0 // MINUTE * MINUTE + 5000
    assert house.reader.round() == 15.0
    now.ms += 15_000
    assert house.reader.round() == 60.0


def test_it_follows_by_itself_and_ends(agency: BulletinFeed) -> None:
    """In a thread of its own that says it lives; a mistake of ours is logged and survived."""
    agency._now_ms = lambda: round(time.time() * 1000)
    beats: set[str] = set()
    reader = Reader(
        of(agency, every_s=0.05), bulletins.Known(), agency._now_ms, lambda loop, _: beats.add(loop), (0.05,)
    )
    agency.issue("大雨警報")
    whole = reader._documents
    failing = [True]

    def once(now_ms: int) -> float | None:
        if failing:
            failing.clear()
            raise KeyError("x")
        return whole(now_ms)

    reader._documents = once  # type: ignore[method-assign]
    reader.start()
    until = time.monotonic() + 20
    while not reader.waiting() and time.monotonic() < until:
        time.sleep(0.01)
    assert [x.tenant for x in reader.waiting().values()] == ["takamatsu"]
    reader.stop()
    assert beats == {"bulletins"}


def test_a_store_that_cannot_be_read_at_the_start(tmp_path: Path) -> None:
    """It is said, as of everything else that the bridge needs."""
    (tmp_path / "store.db").write_bytes(b"no database at all" * 100)
    with pytest.raises((Unavailable, storefile.sqlite3.DatabaseError)):
        bulletins.known(tmp_path / "store.db", T0)


# --- bridge.yaml -----------------------------------------------------------------------------------------------------

BRIDGE = "version: 1\nbroker: {host: 127.0.0.1}\nbulletins: "
LEAST = "offices: [高松地方気象台], areas: {高松市: takamatsu, 香川県: everybody}"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{areas: {高松市: a}}", "'offices' is missing"),
        ("{offices: [高松地方気象台]}", "'areas' is missing"),
        ("{offices: [高松地方気象台], areas: {}}", "areas"),
        (f"{{{LEAST}, every: 10s}}", "Write at least 60s"),
        (f"{{{LEAST}, feed: ftp://x}}", "feed"),
        (f"{{{LEAST}, office: x}}", "unknown key 'office'"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, written: str, told: str) -> None:
    """Each with its place."""
    (tmp_path / "bridge.yaml").write_text(BRIDGE + written)
    problems = [f"{p.path} {p.message}" for p in config.check(tmp_path) if p.path.startswith("bulletins")]
    assert len(problems) == 1, problems
    assert told in problems[0]


def test_the_settings(tmp_path: Path) -> None:
    """The agency's feeds unless another is named, which then has no longer one of the agency's beside it."""
    (tmp_path / "bridge.yaml").write_text(BRIDGE + f"{{{LEAST}}}")
    found = config.inspect(tmp_path).bridge
    assert found is not None
    assert found.bulletins is not None
    assert found.bulletins.feed == "https://www.data.jma.go.jp/developer/xml/feed/extra.xml"
    assert found.bulletins.catch_up.endswith("/extra_l.xml")
    assert found.bulletins.areas == {"高松市": "takamatsu", "香川県": ""}
    (tmp_path / "bridge.yaml").write_text(BRIDGE + f"{{{LEAST}, feed: 'http://127.0.0.1:1/x', every: 5s, titles: [a]}}")
    found = config.inspect(tmp_path).bridge
    assert found is not None
    assert found.bulletins is not None
    assert (found.bulletins.catch_up, found.bulletins.every_s, found.bulletins.titles) == ("", 5.0, ("a",))


def test_the_simulator_is_asked_to_issue() -> None:
    """By hand, as its command says; a mode that there is not is refused."""
    feed = BulletinFeed()
    try:
        path = world.post(f"{feed.url}/issue", json.dumps({"kinds": ["洪水警報"]}).encode()).decode().strip()
        assert feed.issued[0].kinds == ("洪水警報",)
        assert path == "/data/1_VXKO.xml"
    finally:
        feed.stop()
