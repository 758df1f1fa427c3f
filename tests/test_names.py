"""Levels are called as their own station calls them, wherever a person reads of them: an underpass has no 氾濫危険水位,
and a crisis-management gauge shows 氾濫開始水位.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import journalfile, journalwords, settings, storefile
from gateway.bridge.requests import Requests
from gateway.bridge.store import Store
from gateway.bridge.work import Rules, Work
from gateway.model import Flag
from gateway.stations import Channel, Contract, Registry, Station, Threshold
from tests import world
from tests.world import T0

MINUTE = 60_000
CONTRACT = Contract(600.0, 300.0)


def mark(level: str, rank: int, value: float, basis: str) -> Threshold:
    return Threshold(level, rank, value, "市独自", basis, "a test")


NOTICE = Channel("caution", "contact", CONTRACT, thresholds=(mark("notice", 2, 1.0, "市の目安"),), contact=True)
CLOSING = Channel("closing", "contact", CONTRACT, thresholds=(mark("closure", 4, 1.0, "市の目安"),), contact=True)
UNDERPASS = replace(
    world.station("underpass", "d-1", [NOTICE, CLOSING]), name_ja="中央アンダーパス", hazard="underpass"
)
LEVEL = Channel("water_level", "water_level", CONTRACT, thresholds=(mark("overflow", 5, 2.4, "危機管理型"),))
CRISIS = replace(world.station("crisis", "d-2", [LEVEL]), name_ja="詰田川橋")


class Desk:
    """The bridge's store, and two stations before it."""

    def __init__(self, folder: Path) -> None:
        desk = settings.Recipient("desk", "console")
        self.bridge = world.bridge(folder / "store.db", recipients=(desk,), alert_topic=True)
        self.registry: Registry = world.registry(UNDERPASS, CRISIS)
        self.store, self.now_ms, self._seq = Store(self.bridge.store), T0, 0
        self.memory, self.requests = self.store.load(), Requests(self.bridge.store)

    def rules(self) -> Rules:
        return Rules(self.registry, self.bridge, self.now_ms, None, T0 - 3_600_000)

    def write(self, work: Work) -> None:
        self.store.commit(work)
        work.swap_in()

    def reads(self, station: Station, channel: str, value: float, flag: Flag = Flag.GOOD) -> None:
        self.now_ms += MINUTE
        self._seq += 1
        o = world.observation(self._seq, value, station=station.id, device=station.device, observed_ms=self.now_ms)
        work = Work(self.memory, self.rules())
        work.observe([replace(o, channel=channel, flag=flag)])
        self.write(work)

    def ask(self, kind: str, **body: Any) -> dict[str, Any]:
        self.now_ms += MINUTE
        request = storefile.ask(self.bridge.store, kind, json.dumps(body), "tanaka", self.now_ms)
        self.requests.serve(self.memory, self.rules, self.write)
        state, answer = storefile.answer(self.bridge.store, request)
        return {"state": state, **json.loads(answer or "{}")}

    def told(self, recipient: str = "desk") -> str:
        """Everything that one recipient read, in Japanese and English."""
        query = "SELECT body FROM outbox WHERE recipient = ? ORDER BY id"
        bodies = [json.loads(x[0]) for x in storefile.rows(self.bridge.store, query, (recipient,))]
        return "\n".join(f"{b['subject'][x]}\n{b['text'][x]}" for b in bodies for x in ("ja", "en"))

    def journal(self, ja: bool = True) -> str:
        rows = journalfile.rows(self.bridge.store)
        return "\n".join(journalwords.sentence(row, self.registry.levels, ja) for row in rows)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    found.store.close()


def test_an_underpass_is_never_called_by_the_levels_of_a_river(desk: Desk) -> None:
    """Alert, refusals, confirmation, a drill, closing, the journal: 通行止め基準, wet and dry, and no metres."""
    desk.reads(UNDERPASS, "closing", 1.0)
    refused = desk.ask("alert.close", episode="underpass")
    assert "closing reads wet (通行止め基準)" in refused["reason"]
    assert "when it reads dry and somebody has been there" in refused["reason"]
    refused = desk.ask("maintenance.begin", station="underpass", for_s=3600)
    assert "stands at 通行止め基準" in refused["reason"]
    assert desk.ask("alert.confirm", episode="underpass", basis="patrol")["state"] == "done"
    desk.ask("drill.begin", station="underpass", rank=4)
    desk.ask("drill.end", station="underpass")
    desk.reads(UNDERPASS, "closing", 0.0)
    assert desk.ask("alert.close", episode="underpass")["state"] == "done"
    everything = desk.told() + desk.journal() + refused["reason"]
    assert "氾濫" not in everything
    assert "flood" not in (desk.told() + desk.journal(ja=False)).replace("flood gauge", "")
    assert "1.00" not in everything
    assert "浸水を担当者が確認しました（通行止め基準到達）" in everything
    assert "浸水を検知（通行止め基準）" in desk.journal()


def test_a_correction_says_what_was_sent_when(desk: Desk) -> None:
    """The level, value and time of the original stand in the correction, not what the gauge shows when it is judged,
    and who judged on which basis; the public topic names nobody."""
    desk.reads(CRISIS, "water_level", 0.8)
    desk.reads(CRISIS, "water_level", 3.08)
    desk.reads(CRISIS, "water_level", 0.8)
    desk.reads(CRISIS, "water_level", 3.05)
    answer = desk.ask("alert.reject", episode="crisis", basis="camera", by="山田")
    assert answer["state"] == "done", answer
    query = "SELECT recipient, body FROM outbox WHERE key LIKE '%rejected%' ORDER BY id"
    rows = {x: json.loads(body) for x, body in storefile.rows(desk.bridge.store, query)}
    subject, text = rows["desk"]["subject"]["ja"], rows["desk"]["text"]["ja"]
    first = text.split("\n")[:3]
    assert first[0] == "【訂正】詰田川橋：市の目安（氾濫開始水位）超過は誤報でした"
    assert "送信「市の目安（氾濫開始水位）超過」 3.08 m" in first[1]
    assert first[2].startswith("判断 ")
    assert first[2].endswith("山田（カメラ）")
    assert "送信の通報を取り消し" in subject
    assert rows["desk"]["value"] == 3.08
    assert "山田" not in rows["_alerts"]["text"]["ja"]
    assert "氾濫開始相当水位" not in desk.told() + desk.journal()
    assert "訂正：市の目安（氾濫開始水位）超過は誤報" in desk.journal()


def test_a_drill_at_a_crisis_gauge_names_its_own_level(desk: Desk) -> None:
    """Begin and end say 氾濫開始水位, in the texts and in the journal."""
    desk.ask("drill.begin", station="crisis", rank=5)
    desk.ask("drill.end", station="crisis")
    assert "訓練開始（氾濫開始水位）" in desk.journal()
    assert "氾濫開始相当水位" not in desk.told() + desk.journal()
