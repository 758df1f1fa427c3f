"""`suimon journal` as an operator types it, on a real store: entries, what was known when, the chain, the export."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway import config, journalfile, journalwords, knownat
from gateway.bridge.notify import Outcome
from gateway.bridge.requests import Requests
from gateway.bridge.store import Store
from gateway.bridge.work import Memory, Rules, Work
from gateway.cli.main import app
from gateway.journal import Entry, Kind, Row
from gateway.model import Flag
from gateway.people import Member, People, Plan, Role
from tests import capxml, world
from tests.test_cli_alert import BRIDGE, STATIONS

T0 = 1_764_000_000_000  # 2025-11-24 16:00 UTC
MINUTE = 60_000
CAP = "cap: {folder: cap, sender: flood.city.example}\n"
STATION = "kasuga-bridge"


def z(minutes: float) -> str:
    """So many minutes after T0, as one types it."""
    return f"{datetime.fromtimestamp((T0 + minutes * MINUTE) / 1000, UTC):%Y-%m-%dT%H:%M:%S}Z"


class House:
    """A folder, its store, and what happens there at times of a story."""

    def __init__(self, folder: Path, bridge: str = BRIDGE + CAP) -> None:
        self.folder = folder
        (folder / "stations.yaml").write_text(STATIONS)
        (folder / "bridge.yaml").write_text(bridge)
        self.bridge, self.registry = config.load_bridge(folder)
        self.seq = 0
        self.store: Store | None = None
        self.memory: Memory | None = None

    def __enter__(self) -> House:
        self.store = Store(self.bridge.store)
        self.memory = self.store.load()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.store is not None
        self.store.close()

    def work(self, minutes: float) -> Work:
        assert self.memory is not None
        now = T0 + round(minutes * MINUTE)
        return Work(self.memory, Rules(self.registry, self.bridge, now, now + 5 * MINUTE, T0 - 60 * MINUTE))

    def write(self, work: Work) -> None:
        assert self.store is not None
        self.store.commit(work)
        work.swap_in()

    def reads(
        self,
        minutes: float,
        value: float,
        came: float | None = None,
        flag: Flag = Flag.GOOD,
        tests: tuple[str, ...] = (),
    ) -> None:
        self.seq += 1
        came = minutes if came is None else came
        work = self.work(came)
        at, received = T0 + round(minutes * MINUTE), T0 + round(came * MINUTE)
        o = world.observation(
            self.seq, value, station=STATION, observed_ms=at, received_ms=received, flag=flag, alarm=flag, tests=tests
        )
        work.observe([o])
        self.write(work)

    def tick(self, minutes: float) -> None:
        work = self.work(minutes)
        work.tick()
        self.write(work)

    def asks(self, minutes: float, request: str, /, **said: Any) -> dict[str, Any]:
        """A request, as page or command line make it; its answer."""
        assert self.memory is not None
        from gateway import storefile

        number = storefile.ask(self.bridge.store, request, json.dumps(said), "tester", T0)
        Requests(self.bridge.store).serve(self.memory, lambda: self.work(minutes).rules, self.write)
        state, answer = storefile.answer(self.bridge.store, number)
        return {"state": state, **json.loads(answer or "{}")}

    def rows(self) -> list[Any]:
        return list(journalfile.rows(self.bridge.store))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def suimon(house: House, *words: str, expect: int = 0) -> Any:
    done = CliRunner().invoke(app, ["journal", *words, "--config", str(house.folder)])
    assert done.exit_code == expect, done.output
    return done


def read(house: House, *words: str, expect: int = 0) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(suimon(house, *words, "--json", expect=expect).stdout)
    assert document["version"] == 1
    return document


# --- entries by hand -----------------------------------------------------------------------------------------------


def test_an_entry_keeps_both_its_times(house: House) -> None:
    """What is entered later says when it happened and when it was recorded, by whom and in whose words."""
    with house:
        pass
    words = ("--kind", "patrol", "--at", z(0), "--by", "田中", "--station", STATION)
    said = read(house, "add", *words, "堤防に異常なし")
    assert (said["number"], said["by"], said["at_ms"]) == (1, "田中", T0)
    (row,) = house.rows()
    assert (row.at_ms, row.kind, row.station, row.by) == (T0, "manual", STATION, "田中")
    assert row.facts == {"what": "patrol", "text": "堤防に異常なし"}
    assert row.recorded_ms > T0
    shown = suimon(house, "show", "--from", z(-1)).stdout
    assert "巡回  堤防に異常なし（田中）" in shown
    assert "(recorded " in shown


def test_a_correction_is_a_row_of_its_own(house: House) -> None:
    """The corrected row stands as it was; both say so when they are shown."""
    with house:
        pass
    suimon(house, "add", "--kind", "closure", "--at", z(0), "--station", STATION, "--by", "a", "県道10号を通行止め")
    before = house.rows()[0]
    suimon(house, "add", "--kind", "closure", "--at", z(0), "--by", "a", "--corrects", "1", "県道11号を通行止め")
    first, second = house.rows()
    assert first == before
    assert (second.station, second.facts["corrects"]) == (STATION, 1)
    found = read(house, "show", "--from", z(-1))["rows"]
    assert [x["corrected_by"] for x in found] == [2, None]
    assert found[1]["text"]["ja"] == "（記録1の訂正）県道11号を通行止め（a）"


def test_a_bulletin_that_was_received_is_entered_as_one(house: House) -> None:
    """In the words in which it was received; its kind is a bulletin."""
    with house:
        pass
    suimon(house, "add", "--kind", "bulletin", "--by", "a", "レベル4氾濫危険警報 春日川 03:10発表")
    assert [(x.kind, x.facts["text"]) for x in house.rows()] == [("bulletin", "レベル4氾濫危険警報 春日川 03:10発表")]


def test_a_text_is_kept_as_people_type_it(house: House) -> None:
    """In Japanese the space bar gives an ideographic space; a table pastes tabs, and a form lines with CR LF."""
    with house:
        answer = house.asks(0, "journal.add", by="a", kind="order", text="避難指示　北部\r\n10:00\t発令\n")
        assert answer["state"] == "done", answer
    assert [x.facts["text"] for x in house.rows()] == ["避難指示　北部\n10:00 発令"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"kind": "call", "text": "  "}, "an entry without a text says nothing"),
        ({"kind": "call", "text": "x" * 4001}, "the text has 4001 characters"),
        ({"kind": "call", "text": "a\u0007b"}, "control characters"),
        (
            {"kind": "call", "text": "a", "at_ms": T0 + 2 * MINUTE},
            "25 Nov 01:02 JST lies in the future, it is 25 Nov 01:00",
        ),
        ({"kind": "call", "text": "a", "station": "nowhere"}, "there is no station 'nowhere'"),
        ({"kind": "call", "text": "a", "episode": "none"}, "there is no open episode 'none'"),
        ({"kind": "call", "text": "a", "corrects": 7}, "the journal has no row 7; its last is 0"),
        ({"kind": "evacuation", "text": "a"}, "it cannot be read"),
        ({"kind": "call", "text": "a", "edit": 1}, "it cannot be read"),
    ],
)
def test_what_is_no_entry_is_refused(house: House, said: dict[str, Any], reason: str) -> None:
    """With what is wrong, and nothing is written."""
    with house:
        answer = house.asks(0, "journal.add", by="a", **said)
        assert (answer["state"], reason in answer["reason"]) == ("refused", True), answer
        assert house.rows() == []


# --- what was known at a time --------------------------------------------------------------------------------------


@pytest.fixture
def night(house: House) -> Iterator[House]:
    """A rise at 20 min, seen at 25, then no data; a peak that came an hour late; muted, rejected, noted afterwards."""
    with house:
        house.tick(0)
        for i in range(3):
            house.reads(i * 10, (1.0, 1.2, 2.6)[i])
        house.asks(25, "alert.acknowledge", episode=STATION, by="佐藤")
        for i in range(26, 60):
            house.tick(i)
        for at, value in ((30, 2.8), (40, 2.9), (50, 2.7)):
            house.reads(at, value, came=90)
        house.reads(90, 1.0)
        house.asks(95, "journal.add", kind="camera", text="水位は橋桁下50cm", at_ms=T0 + 22 * MINUTE, by="田中")
        yield house


def known(house: House, minutes: float) -> dict[str, Any]:
    """The main channel of the station as it was known then, and the episodes."""
    found = read(house, "show", "--as-known-at", z(minutes), "--station", STATION)["known"]
    (station,) = found["stations"]
    return {**station["channels"][0], "episodes": station["episodes"], "thresholds": station["thresholds"]}


def test_what_the_desk_could_see_then(night: House) -> None:
    """Only what had been recorded and received by then: rank, newest value and its age, loss, and who had seen it."""
    then = known(night, 15)
    assert (then["state"], then["rank"], then["value"], then["age_s"]) == ("normal", 0, 1.2, 300)
    assert [x["value"] for x in then["thresholds"]["water_level"]["thresholds"]] == [2.0, 2.5, 3.0]
    then = known(night, 21)
    assert (then["state"], then["rank"], then["level"]["key"], then["value"]) == ("exceeded", 3, "evacuation", 2.6)
    assert [x["acknowledged_by"] for x in then["episodes"]] == [None]
    assert [x["acknowledged_by"] for x in known(night, 26)["episodes"]] == ["佐藤"]
    then = known(night, 59)
    assert (then["state"], then["rank"], then["value"], then["age_s"]) == ("held", 3, 2.6, 39 * 60)
    assert then["text"]["ja"] == "避難判断水位超過のまま観測不能"
    then = known(night, 91)
    assert (then["state"], then["value"], then["age_s"]) == ("exceeded", 1.0, 60)


def test_before_anything_came_nothing_is_normal(night: House) -> None:
    """A time without readings is unknown, one with an old reading is late: neither is calm."""
    assert known(night, -1)["state"] == "unknown"
    then = known(night, 19)
    assert (then["state"], then["age_s"]) == ("normal", 540)
    with sqlite3.connect(night.bridge.store) as db:
        db.execute("DELETE FROM observations")
    assert (known(night, 15)["state"], known(night, 15)["value"]) == ("unknown", None)


def test_an_entry_made_later_was_not_known_then(night: House) -> None:
    """Rows are those recorded by then; the camera's picture of 22 min was entered at 95."""
    words = ("--from", z(-10), "--station", STATION)
    night.asks(96, "journal.add", kind="call", text="消防団へ", at_ms=T0 + 23 * MINUTE, by="田中", station=STATION)
    before = read(night, "show", *words, "--as-known-at", z(94))["rows"]
    after = read(night, "show", *words, "--as-known-at", z(97))["rows"]
    assert [x["text"]["ja"] for x in after if x not in before] == ["消防団へ（田中）"]
    assert all(x["recorded"] <= after[-1]["recorded"] for x in before)


def test_what_people_read_of_a_time(night: House) -> None:
    """In words: place, state, value and age, who had seen it; both languages."""
    ja = suimon(night, "show", "--as-known-at", z(59)).stdout
    assert "春日橋  避難判断水位超過のまま観測不能  2.60 m  measured 39 min before" in ja
    assert "香東川橋  未着  no reading is kept from then" in ja
    assert "seen by 佐藤" in ja
    assert "Kasuga Bridge  lost while above evacuation-judgement level" in suimon(
        night, "show", "--as-known-at", z(59), "--lang", "en"
    ).stdout  # fmt: skip


def test_maintenance_and_rejection_are_known_too(house: House) -> None:
    """A station under work shows so until its end; a false alarm leaves no rank."""
    with house:
        house.tick(0)
        for i in range(3):
            house.reads(i * 10, (1.0, 1.1, 3.5)[i])
        house.asks(21, "alert.reject", episode=STATION, basis="camera", by="a")
        house.asks(25, "maintenance.begin", station=STATION, for_s=600, by="a")
    assert known(house, 20.5)["state"] == "exceeded"
    then = known(house, 22)
    assert (then["state"], then["rank"], then["episodes"]) == ("normal", 0, [])
    assert [known(house, x)["state"] for x in (26, 34, 36)] == ["maintenance", "maintenance", "late"]


# --- notifications -------------------------------------------------------------------------------------------------


def test_what_became_of_notifications_is_told(house: House) -> None:
    """Sent or given up, to whom, by which medium, after how many attempts and why; the retained topic is no person."""
    with house:
        house.reads(0, 1.0)
        house.reads(10, 3.5)
        work = house.work(11)
        (owed,) = sqlite3.connect(house.bridge.store).execute("SELECT id, key FROM outbox").fetchall()
        work.report([Outcome(owed[0], "retry", 2, "busy", owed[1])])
        house.write(work)
        assert [x for x in house.rows() if x.kind == Kind.NOTIFICATION] == []
        work = house.work(12)
        work.report([Outcome(owed[0], "given_up", 3, "no such number", owed[1])])
        house.write(work)
    (row,) = (x for x in house.rows() if x.kind == Kind.NOTIFICATION)
    assert (row.station, bool(row.episode)) == (STATION, True)
    assert {k: row.facts[k] for k in ("recipient", "medium", "outcome", "attempts", "reason")} == {
        "recipient": "desk", "medium": "console", "outcome": "given_up", "attempts": 3, "reason": "no such number",
    }  # fmt: skip
    found = read(house, "show", "--from", z(-10))["rows"]
    (text,) = (x["text"] for x in found if x["kind"] == "notification")
    assert text["ja"].startswith("desk（console）へ「【水位情報】")
    assert text["ja"].endswith("」送信できず、3回目：no such number")
    assert text["en"].startswith('desk (console) given up, attempt 3: no such number: "[Water level]')


def test_whose_address_it_was_stands_in_the_journal(house: House) -> None:
    """By the members of then; in ten years nobody knows whose number that was."""
    duty = Member("duty", "田中 花子", ("desk",))
    people = People({"duty": Role("duty", "当直", "Duty")}, (duty,), (Plan(2, ("duty",)),), lambda _: False)
    house.bridge = replace(house.bridge, people=people)
    with house:
        house.reads(0, 1.0)
        house.reads(10, 3.5)
        ((number, key),) = sqlite3.connect(house.bridge.store).execute("SELECT id, key FROM outbox").fetchall()
        work = house.work(11)
        work.report([Outcome(number, "sent", 1, None, key)])
        house.write(work)
    (row,) = (x for x in house.rows() if x.kind == Kind.NOTIFICATION)
    assert (row.facts["who"], row.facts["recipient"]) == ("田中 花子", "desk")
    text = journalwords.sentence(row, house.registry.levels)
    assert text.startswith("田中 花子（desk、console）へ「【水位情報】")


# --- the chain -----------------------------------------------------------------------------------------------------


def test_verify_names_the_row(night: House) -> None:
    """Whole: the number of rows and the last hash. Touched: the first row that does not follow, and exit 1."""
    found = read(night, "verify")
    assert (found["whole"], found["rows"]) == (True, len(night.rows()))
    assert read(night, "verify", "--contains", found["hash"][:16])["contains"] is True
    assert "another journal" in suimon(night, "verify", "--contains", "f" * 64, expect=1).stdout
    with sqlite3.connect(night.bridge.store) as db:
        db.execute("DROP TRIGGER journal_stands")
        db.execute("UPDATE journal SET by = 'nobody' WHERE id = 3")
    assert "broken at row 3" in suimon(night, "verify", expect=1).stdout
    assert read(night, "verify", expect=1)["row"] == 3


# --- the export ----------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Rows of the table as texts, and every address that the page would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.classes: list[str] = []
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.fetched += [str(given[x]) for x in ("src", "href") if x in given]
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
            self.classes.append(given.get("class") or "")
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and "table" in self.open:
            self.rows[-1][-1] += data


def test_the_export_for_paper_and_spreadsheet(night: House, tmp_path: Path) -> None:
    """In the order in which things happened, late entries with both times, corrections and drills to be seen; nothing
    is fetched from elsewhere; the hash of the last row stands on the page."""
    night.asks(97, "journal.add", kind="call", text="<b>&\n=1+1", by="田中", corrects=len(night.rows()))
    night.asks(98, "drill.begin", station="koto-bridge", rank=4, by="a")
    out = tmp_path / "records" / "2025"  # made where it is missing
    done = suimon(night, "export", "--from", z(-10), "--to", z(200), "--out", str(out))
    html, table = (Path(x) for x in done.stdout.split())
    text = html.read_text()
    page = Page(text)
    assert page.fetched == []
    assert "url(" not in text
    assert "@import" not in text
    assert night.rows()[-1].hash in text
    for word in ("時系列記録", "全観測所", "2025年11月25日(火)", "連鎖を検証済み", "size: A4"):
        assert word in text
    body = [r for r in page.rows if len(r) == 5][1:]
    times = [(r[1][:8]) for r in body]
    assert times == sorted(times)
    camera = next(r for r in body if "橋桁下" in r[4])
    assert "01:22:00" in camera[1]
    assert camera[1].endswith("記録 02:35:00")
    assert "で訂正）" in camera[4]
    drills = [r for r, c in zip(page.rows, page.classes, strict=True) if "drill" in c]
    assert drills
    assert all("【訓練】" in r[4] for r in drills)
    assert any("<b>&" in r[4] for r in body)
    raw = table.read_bytes()
    assert raw.startswith("\ufeff番号,".encode())
    listed = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    assert [int(x["番号"]) for x in listed] == [int(r[0]) for r in body]
    assert {x["訓練"] for x in listed if x["観測所ID"] == "koto-bridge" and x["kind"] != "thresholds"} == {"訓練"}
    assert json.loads(listed[0]["body"])
    assert suimon(night, "export", "--from", z(-10), "--to", z(200), "--out", str(out), expect=4)


def test_an_export_that_ends_before_it_begins_is_refused(night: House, tmp_path: Path) -> None:
    """An empty sheet could be filed as a night in which nothing happened."""
    words = ["journal", "export", "--from", "2026-11-24", "--to", "2026-11-23", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, [*words, "--config", str(night.folder)])
    assert (done.exit_code, list(tmp_path.glob("journal-*"))) == (2, [])
    assert "is not before" in done.output


def test_an_export_without_a_beginning_is_of_the_day_before_its_end(night: House, tmp_path: Path) -> None:
    words = ["journal", "export", "--to", "2026-11-23", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, [*words, "--config", str(night.folder)])
    assert done.exit_code == 0, done.output
    assert [x.name for x in sorted(tmp_path.glob("journal-*.csv"))] == ["journal-20261122T0000-20261123T0000.csv"]


def test_an_export_says_that_the_chain_is_broken(night: House, tmp_path: Path) -> None:
    """A page of a journal that was touched does not look like evidence."""
    with sqlite3.connect(night.bridge.store) as db:
        db.execute("DROP TRIGGER journal_stands")
        db.execute("UPDATE journal SET by = 'nobody' WHERE id = 3")
    html = Path(suimon(night, "export", "--from", z(-10), "--out", str(tmp_path)).stdout.split()[0])
    assert "記録番号3で連鎖が途切れています" in html.read_text()
    assert "検証済み" not in html.read_text()


def test_a_formula_stays_text(house: House, tmp_path: Path) -> None:
    """What somebody typed is not computed by a spreadsheet."""
    with house:
        entry = Entry(T0, Kind.MANUAL, "", by="=cmd()", body={"what": "other", "text": "=1+1"})
        work = house.work(0)
        work.entries.append(entry)
        house.write(work)
    table = Path(suimon(house, "export", "--from", z(-1), "--to", z(1), "--out", str(tmp_path)).stdout.split()[1])
    (row,) = csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines())
    assert (row["内容"], row["記録者"]) == ("'=1+1（=cmd()）", "'=cmd()")


# --- with the mayor's order ----------------------------------------------------------------------------------------


def ordered(house: House) -> int:
    said = house.asks(25, "journal.add", kind="order", text="春日町に避難指示を発令", by="市長室", station=STATION)
    return int(said["number"])


def test_a_released_message_cites_the_order(house: House) -> None:
    """An alert of its own, beside the chain of measurements: who released it, on which order; ended by the same way."""
    with house:
        house.reads(0, 1.0)
        house.reads(10, 3.5)
        number = ordered(house)
        said = {"episode": STATION, "order": number, "by": "山田"}
        done = house.asks(26, "cap.release", response="Evacuate", text="春日町は避難してください", **said)
        assert done["state"] == "done", done
        house.reads(30, 3.6)
        assert house.asks(40, "cap.release", response="AllClear", text="避難指示の終了", **said)["state"] == "done"
    documents = capxml.stored(house.bridge.store)
    orders = [d for d in documents if d.all("info/instruction")]
    assert [(d.one("msgType"), d.one("info/responseType")) for d in capxml.chained(orders)] == [
        ("Alert", "Evacuate"), ("Update", "AllClear"),
    ]  # fmt: skip
    assert f"市長の発令（11月25日(火) 01:25、記録番号{number}）" in orders[0].ja("instruction")
    assert "発信者：山田" in orders[0].ja("description")
    assert list(capxml.chained([d for d in documents if d not in orders]))
    assert [x.facts["response"] for x in house.rows() if x.kind == Kind.RELEASE] == ["Evacuate", "AllClear"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"by": ""}, "names the person who releases it"),
        ({"order": 99}, "the journal has no row 99"),
        ({"order": 1}, "records no order of the mayor"),
        ({"episode": "koto-bridge"}, "there is no open episode 'koto-bridge'"),
        ({"response": "Monitor"}, "it cannot be read"),
        ({"response": "AllClear"}, "nothing was released for this episode that could end"),
        ({"text": " "}, "an entry without a text says nothing"),
    ],
)
def test_what_may_not_be_released_is_refused(house: House, said: dict[str, Any], reason: str) -> None:
    """No person, no order, no episode: nothing is sent, nothing is written."""
    with house:
        house.reads(0, 1.0)
        house.reads(10, 3.5)
        given = {"episode": STATION, "order": ordered(house), "by": "山田", "response": "Evacuate", "text": "避難"}
        before = len(house.rows()), len(capxml.stored(house.bridge.store))
        answer = house.asks(26, "cap.release", **(given | said))
        assert (answer["state"], reason in answer["reason"]) == ("refused", True), answer
        assert (len(house.rows()), len(capxml.stored(house.bridge.store))) == before


def test_a_real_order_is_never_released_as_an_exercise(house: House) -> None:
    """Where only a drill is open its station's name is not enough: an exercise is released by the drill's own name."""
    with house:
        drill = str(house.asks(2, "drill.begin", station=STATION, rank=4, by="a")["episode"])
        given = {"order": ordered(house), "by": "山田", "response": "Evacuate", "text": "避難"}
        answer = house.asks(26, "cap.release", episode=STATION, **given)
        assert (answer["state"], drill in answer["reason"]) == ("refused", True), answer
        assert house.asks(27, "cap.release", episode=drill, **given)["state"] == "done"
    assert {d.one("status") for d in capxml.stored(house.bridge.store)} == {"Exercise"}


def test_documents_on_the_command_line(house: House) -> None:
    """What was made, one document as it was sent, its text to copy, and a release as a person types it."""
    with house:
        house.reads(0, 1.0)
        house.reads(10, 3.5)
        number = ordered(house)

    def cap(*words: str, expect: int = 0) -> str:
        done = CliRunner().invoke(app, ["cap", *words, "--config", str(house.folder)])
        assert done.exit_code == expect, done.output
        return done.output

    (made,) = json.loads(cap("list", "--json"))["documents"]
    assert (made["msg_type"], made["status"], made["scope"], made["ends"]) == ("Alert", "Actual", "Restricted", False)
    assert capxml.read(cap("show", STATION)).one("identifier") == made["identifier"]
    assert cap("show", made["identifier"]) == cap("show", made["episode"])
    assert made["headline"] in cap("text", made["identifier"])
    assert "避難情報の発令ではありません" in cap("text", STATION)
    words = (STATION, "春日町は避難してください", "--response", "Evacuate", "--order", str(number), "--by", "山田")
    assert f"released by 山田, on the order in row {number}: suimon." in cap("release", *words)
    assert "春日町は避難してください" in cap("text", STATION)
    assert "there is no CAP document of 'nowhere'" in cap("show", "nowhere", expect=4)
    assert "refused: the journal has no row 99" in cap("release", *words[:5], "99", *words[6:], expect=4)


def test_without_cap_nothing_is_released(tmp_path: Path) -> None:
    """A house that publishes nothing says so."""
    house = House(tmp_path, BRIDGE)
    with house:
        house.reads(10, 3.5)
        given = {"episode": STATION, "order": 1, "by": "a", "response": "Evacuate", "text": "a"}
        assert "has no 'cap'" in house.asks(26, "cap.release", **given)["reason"]


def test_a_common_cause_that_is_over_is_open_at_none_of_its_stations() -> None:
    """Its stations' rows name the loss; the cause itself is opened, and ended, where it belongs to no station."""
    silent = {"change": "silent", "from_rank": 0, "to_rank": 0, "confirmed": True, "stations": [STATION, "koto-bridge"]}
    ended = {"max_rank": 0, "kind": "cause"}
    rows = [
        Row(i, T0 + i, T0 + i, kind.value, "takamatsu", station, "area-1", "", json.dumps(body | {"channel": channel}))
        for i, kind, station, channel, body in (
            (1, Kind.TRANSITION, "", "", silent),
            (2, Kind.TRANSITION, STATION, "water_level", silent),
            (3, Kind.TRANSITION, STATION, "water_level", silent | {"change": "restored"}),
            (4, Kind.ENDED, "", "", ended),
        )
    ]
    during, after = knownat.fold(rows, T0 + 2), knownat.fold(rows, T0 + 4)
    assert list(during[("takamatsu", "")].episodes) == ["area-1"]
    assert during[("takamatsu", STATION)].channels["water_level"].lost == "silent"
    assert [x for place in after.values() for x in place.episodes] == []
