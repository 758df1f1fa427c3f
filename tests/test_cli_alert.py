"""`suimon alert` as an operator types it, on a real store, with and without a bridge."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway import config, storefile
from gateway.bridge.requests import Requests
from gateway.bridge.store import Store
from gateway.bridge.work import Rules, Work
from gateway.cli.main import app
from gateway.clock import SystemClock
from gateway.model import Flag
from tests import world

STATIONS = """version: 1
tenant: takamatsu
stations:
  kasuga-bridge: &station
    name: {ja: 春日橋, en: Kasuga Bridge}
    position: {latitude: 34.33, longitude: 134.07}
    datum: T.P.
    gauge_zero: 0.00 m
    device: kasuga-01
    river: 春日川
    channels:
      water_level:
        interval: 10min
        thresholds:
          caution: {value: 2.00 m, authority: 県, basis: 基準水位観測所, source: test}
          evacuation: {value: 2.50 m, authority: 県, basis: 基準水位観測所, source: test}
          danger: {value: 3.00 m, authority: 県, basis: 基準水位観測所, source: test}
  koto-bridge:
    name: {ja: 香東川橋, en: Koto Bridge}
    position: {latitude: 34.33, longitude: 134.01}
    datum: T.P.
    gauge_zero: 0.00 m
    device: koto-01
    river: 香東川
    channels: {water_level: {interval: 10min, thresholds: {caution: {value: 2.00 m, authority: 県, basis: 基準水位観測所, source: test}}}}
  mure:
    name: {ja: 牟礼, en: Mure}
    position: {latitude: 34.33, longitude: 134.14}
    device: mure-01
    hazard: rain
    channels: {rain: {interval: 10min, rain: amount}}
    steps:
      first:
        name: {ja: 第1配備, en: first stage}
        channel: rain_1h
        value: 30 mm
        authority: 市独自
        source: test
"""  # noqa: E501
BRIDGE = """version: 1
broker: {host: 127.0.0.1}
clock: {trust: always}
notify:
  alert_topic: false
  media: {voice: {medium: webhook, url: "http://127.0.0.1:9/"}}
  recipients: {desk: {medium: console}}
"""
PEOPLE = """version: 1
members: members.csv
roles: {duty: {name: {ja: 当直, en: Duty}}, crisis: {name: {ja: 危機管理課, en: Crisis}, wait: 5min}}
plans: [{rank: 2, call: [duty]}, {rank: 3, call: [duty, crisis]}]
"""
MEMBERS = "role,name,addresses,days\nduty,当直,desk,\ncrisis,山田,voice:+81,夜間\ncrisis,田中,voice:+82,平日 休日\n"


class House:
    """A folder with a store; readings arrive as long ago as a test says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in {
            "stations.yaml": STATIONS, "bridge.yaml": BRIDGE, "people.yaml": PEOPLE, "members.csv": MEMBERS
        }.items():  # fmt: skip
            (folder / name).write_text(text)
        self.bridge, self.registry = config.load_bridge(folder)
        Store(self.bridge.store).close()

    def reads(self, station: str, *values: float, minutes_ago: int = 0, flag: Flag = Flag.GOOD) -> None:
        store = Store(self.bridge.store)
        memory = store.load()
        now = SystemClock().now_ms()
        for n, value in enumerate(values):
            at = now - (minutes_ago + len(values) - n) * 60_000
            work = Work(memory, Rules(self.registry, self.bridge, at, None, now - 86_400_000))
            o = world.observation(n + 1, value, station=station, device=f"{station[:-7]}-01", observed_ms=at, flag=flag)
            work.observe([o])
            store.commit(work)
            work.swap_in()
        store.close()

    def __call__(self, *words: str, expect: int = 0) -> str:
        done = CliRunner().invoke(app, ["alert", *words, "--config", str(self.folder)])
        assert done.exit_code == expect, done.output
        return done.stdout if expect == 0 else done.output

    def json(self, *words: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self(*words, "--json"))
        assert document["version"] == 1
        return document


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_nothing_is_open(house: House) -> None:
    """An empty list says so, and that no bridge runs."""
    text = house("list")
    assert "nothing is open" in text
    assert "NO BRIDGE RUNS" in text
    assert house.json("list")["episodes"] == []


def test_the_worst_comes_first(house: House) -> None:
    """Level, place, value, since when, unseen before seen; readable at three in the morning."""
    house.reads("koto-bridge", 1.0, 2.1, 2.2)
    house.reads("kasuga-bridge", 2.95, 3.02)
    first, second = house.json("list")["episodes"]
    assert (first["station"], first["rank"], first["level"]["key"], first["value"]) == (
        "kasuga-bridge",
        4,
        "danger",
        3.02,
    )
    assert (second["station"], second["rank"], second["acknowledged"]) == ("koto-bridge", 2, None)
    assert first["calling"]["role"]["id"] == "duty"
    text = house("list")
    assert text.index("[4] 氾濫危険水位超過  春日橋 Kasuga Bridge  3.02 m") < text.index("[2] 氾濫注意水位超過")
    assert "NOT SEEN 未応答: calling 当直 Duty" in text


@pytest.mark.parametrize(
    ("condition", "word"),
    [("silent", "未着"), ("late", "遅延"), ("faulty", "故障"), ("unknown", "不明"), ("fresh", "平常の水位")],
)
def test_normal_is_said_of_fresh_data_only(house: House, condition: str, word: str) -> None:
    """An episode without a rank, such as a silence, is not called normal."""
    from gateway.cli.alertview import list_lines

    house.reads("kasuga-bridge", 3.2)
    listed = house.json("list")
    episode = listed["episodes"][0] | {"rank": 0, "unconfirmed": 0, "condition": condition}
    line = list_lines(listed | {"episodes": [episode]})[1]
    assert line.startswith(f"[0] {word}")
    assert ("平常" in line) == (condition == "fresh")
    outage = episode | {"cause": {"group": "north", "stations": ["a", "b"]}, "condition": None}
    assert "平常" not in list_lines(listed | {"episodes": [outage]})[1]


def test_a_gauge_that_fell_silent_is_not_normal(house: House) -> None:
    """Neither on the screen nor for scripts: its last value says nothing of now."""
    house.reads("koto-bridge", 0.5, 0.5, minutes_ago=180)
    house.reads("kasuga-bridge", *[0.5] * 30)
    store = Store(house.bridge.store)
    now = SystemClock().now_ms()
    memory = store.load()
    for at in range(now - 20 * 60_000, now, 60_000):  # a cause that several may have is waited for
        work = Work(memory, Rules(house.registry, house.bridge, at, None, now - 86_400_000, at, at, at))
        work.tick()
        store.commit(work)
        work.swap_in()
    store.close()
    episode = next(e for e in house.json("list")["episodes"] if e["station"] == "koto-bridge")
    assert (episode["rank"], episode["condition"]) == (0, "silent")
    assert episode["level"] is None
    line = next(x for x in house("list").splitlines() if "香東川橋" in x)
    assert line.startswith("[0] 未着")
    assert "平常" not in line


def test_heavy_rain_is_listed_by_its_steps(house: House) -> None:
    """Rain has no rank: the list names the step that was reached, never an ordinary level."""
    store = Store(house.bridge.store)
    memory, now = store.load(), SystemClock().now_ms()
    for n in range(6):
        at = now - (6 - n) * 600_000
        work = Work(memory, Rules(house.registry, house.bridge, at, None, now - 86_400_000))
        work.observe([world.observation(n + 1, 12.0, station="mure", device="mure-01", channel="rain", observed_ms=at)])
        store.commit(work)
        work.swap_in()
    store.close()
    (episode,) = house.json("list")["episodes"]
    assert [(s["key"], s["ja"], s["unit"]) for s in episode["steps"]] == [("first", "第1配備", "mm")]
    text = house("list")
    assert "雨量の基準に到達 第1配備 first stage" in text
    assert "平常" not in text


def test_seen_confirmed_and_closed(house: House) -> None:
    """Without a bridge the acts are done here; what they said stands in list and show."""
    house.reads("kasuga-bridge", 3.2, flag=Flag.SUSPECT)
    assert "未確認 UNCONFIRMED" in house("list")
    assert "is acknowledged; nobody else is called" in house("acknowledge", "kasuga-bridge", "--by", "田中")
    assert "was acknowledged before, by 田中" in house("acknowledge", "kasuga-bridge", "--by", "佐藤")
    house("confirm", "kasuga-bridge", "--basis", "camera", "--by", "田中", "--note", "橋脚が見えない")
    (episode,) = house.json("list")["episodes"]
    assert (episode["rank"], episode["unconfirmed"]) == (4, 0)
    assert (episode["judgement"]["what"], episode["judgement"]["basis"]) == ("confirmed", "camera")
    assert "seen by 田中" in house("list")
    refused = house("close", "kasuga-bridge", expect=4)
    assert "氾濫危険水位" in refused
    assert "refused" in refused
    shown = house.json("show", "kasuga-bridge")
    assert [c["change"] for c in shown["changes"]] == ["rise", "confirmed"]
    assert [n["recipient"] for n in shown["notified"]] == ["desk", "desk"]
    house("close", "kasuga-bridge", "--force", "--note", "測器交換")
    assert house.json("list")["episodes"] == []
    text = house("show", episode["episode"])
    assert "closed at" in text
    assert "water_level  rise 0 to 4 unconfirmed  3.20 m  rings" in text
    assert "desk (当直)  water_level/rise-0-4-unconfirmed: owed" in text


def test_a_false_alarm(house: House) -> None:
    """Rejected: gone from the list, the correction owed, and the gauge named as rejected until it is below."""
    house.reads("kasuga-bridge", 3.2)
    assert "the correction (訂正) goes to 1 recipients" in house("reject", "kasuga-bridge", "--basis", "patrol")
    document = house.json("list")
    assert document["episodes"] == []
    assert document["rejected"][0]["rank"] == 4
    assert "is rejected (誤報) until data are below it" in house("list")
    bodies = [json.loads(x[0]) for x in storefile.rows(house.bridge.store, "SELECT body FROM outbox ORDER BY id")]
    assert [(b["change"], b["rings"]) for b in bodies] == [("rise", True), ("rejected", True)]


def test_mutes_and_maintenance(house: House) -> None:
    """They are listed with their end, and end by command; durations carry units."""
    assert "is muted until" in house("mute", "koto-bridge", "--for", "2h", "--by", "田中")
    house("maintenance", "begin", "kasuga-bridge", "--for", "3d", "--note", "点検")
    kinds = {(x["kind"], x["station"]) for x in house.json("list")["suspensions"]}
    assert kinds == {("mute", "koto-bridge"), ("maintenance", "kasuga-bridge")}
    assert "koto-bridge muted until" in house("list")
    house("unmute", "koto-bridge")
    assert "the maintenance has ended" in house("maintenance", "end", "kasuga-bridge")
    assert house.json("list")["suspensions"] == []
    assert "there was no mute" in house("unmute", "koto-bridge")
    house("mute", "koto-bridge", "--for", "ever", expect=2)
    assert "13 h is not between 0 and 12 h, the longest mute" in house("mute", "koto-bridge", "--for", "13h", expect=4)


def test_a_drill_cannot_be_mistaken(house: House) -> None:
    """It stands in the list between marks, below what is real."""
    house("drill", "begin", "--station", "koto-bridge", "--rank", "5", "--by", "田中")
    house.reads("kasuga-bridge", 3.2)
    text = house("list")
    (line,) = [x for x in text.splitlines() if "香東川橋" in x]
    assert line.startswith("【訓練】")
    assert line.endswith("【訓練】")
    assert text.index("春日橋") < text.index("香東川橋")
    assert "the drill has ended" in house("drill", "end", "--station", "koto-bridge")


def test_a_test_of_the_call(house: House) -> None:
    """Everybody is asked; delivery and answers are shown, for people and for scripts."""
    document = house.json("test", "--all")
    assert document["totals"] == {"asked": 3, "sent": 0, "given_up": 0, "answered": 0}
    assert "has answered test" in house("acknowledge", "--test", document["test"], "--recipient", "desk")
    shown = house.json("test", "--show", "last")
    assert shown["totals"]["answered"] == 1
    assert "voice:+81 (山田): owed; NO ANSWER" in house("test", "--show", document["test"])
    house("test", expect=2)
    assert "there is no test 'x'" in house("test", "--show", "x", expect=4)


def test_a_lamp_answers_nobody(tmp_path: Path) -> None:
    """Of a lamp no answer is awaited, and somebody must go and look."""
    house = House(tmp_path)
    lamp = "desk: {medium: console}, lamp: {medium: lamp, url: 'http://127.0.0.1:9/?x=', levels: {3: '1'}}"
    (tmp_path / "bridge.yaml").write_text(BRIDGE.replace("desk: {medium: console}", lamp))
    house.bridge, _ = config.load_bridge(tmp_path)
    test = house.json("test", "--all")["test"]
    shown = house("test", "--show", test).splitlines()
    assert [x.strip().partition(": ")[2] for x in shown if "lamp" in x or "desk" in x] == [
        "owed; NO ANSWER",
        "owed; does not answer: go and look",
    ]


def test_who_would_be_called(house: House) -> None:
    """The plan of a rank at a moment, role by role with the minutes after which each is called."""
    night = house("plan", "kasuga-bridge", "--rank", "4", "--at", "2026-12-31T02:00+09:00")
    assert "2026-12-31T02:00+09:00 (木, 夜間)" in night
    assert "+0 min  当直 Duty: 当直 (desk)" in night
    assert "+3 min  危機管理課 Crisis: 山田 (voice:+81)" in night
    assert "+8 min  当直 Duty" in night
    day = house.json("plan", "kasuga-bridge", "--rank", "4", "--at", "2026-12-31T10:00+09:00")
    assert day["turns"][1]["rounds"][0][0]["name"] == "田中"
    assert "there is no station 'nowhere'" in house("plan", "nowhere", expect=4)


def test_a_running_bridge_is_asked(house: House) -> None:
    """Where another process holds the store the command leaves its request and waits for the answer."""
    store = Store(house.bridge.store)
    memory = store.load()
    answers: list[dict[str, Any]] = []
    asker = threading.Thread(target=lambda: answers.append(house.json("mute", "koto-bridge", "--for", "2h")))
    asker.start()
    requests = Requests(house.bridge.store)
    try:
        # The connection of the store belongs to this thread, which serves until the command has its answer.
        while asker.is_alive():
            rules = Rules(house.registry, house.bridge, SystemClock().now_ms(), None, None)
            requests.serve(memory, lambda rules=rules: rules, lambda work: (store.commit(work), work.swap_in())[1])
            asker.join(0.05)
    finally:
        store.close()
    assert answers[0]["kind"] == "mute"
    assert "mute" in {key[0] for key in memory.suspensions}
