"""`suimon gaps` and `suimon bridge status` as an operator types them, on a real store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway import bulletinstanding, config, orionstanding, wire
from gateway.bridge.store import Store
from gateway.bridge.work import Rules, Work
from gateway.cli.main import app
from gateway.clock import SystemClock
from gateway.model import Message
from gateway.orionstanding import Standing
from tests import readme, world
from tests.test_requests import RAIN, records

MINUTE = 60_000
OLD = "0ldc0ffee000"


@pytest.fixture
def now_ms() -> int:
    return SystemClock().now_ms()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return readme.write_configuration(tmp_path)


def fill(folder: Path, now_ms: int, *messages: tuple[str, bytes]) -> None:
    """What the device sent, by kind, just now."""
    bridge, registry = config.load_bridge(folder)
    store = Store(bridge.store)
    work = Work(store.load(), Rules(registry, bridge, now_ms, None, None))
    for kind, payload in messages:
        work.take(Message(f"suimon/v1/takamatsu/kasuga-01/{kind}", payload, now_ms))
    store.commit(work)
    store.close()


def level(now_ms: int, *numbers: int, top: int = 10) -> bytes:
    """Samples a minute apart, number `top` being now."""
    return world.pack(*(world.sample(n, 1.0, now_ms - (top - n) * MINUTE) for n in numbers))


def suimon(folder: Path, *words: str, expect: int = 0) -> str:
    done = CliRunner().invoke(app, [*words, "--config", str(folder)])
    assert done.exit_code == expect, done.output
    return done.output


def read(folder: Path, *words: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(suimon(folder, *words, "--json"))
    assert document["version"] == 1
    return document


def test_nothing_is_missing(folder: Path, now_ms: int) -> None:
    """It says of how much, and until when."""
    fill(folder, now_ms, ("data", level(now_ms, *range(1, 11))), ("spool", world.statement(1, 11)))
    assert suimon(folder, "gaps", "--check").startswith("no gaps: 10 samples of 1 device stored, newest 20")
    found = read(folder, "gaps")
    assert found["gaps"] == []
    assert found["totals"] == {
        "gaps": 0,
        "missing": {},
        "samples": {"stored": 10, "rejected": 0, "gone": 0, "held": 0, "unknown": 0},
        "devices": 1,
        "not_accounted": [],
    }


def test_each_cause_in_its_words(folder: Path, now_ms: int) -> None:
    """Held, gone and rejected, each with its numbers and the times of the readings on both sides, oldest first."""
    gone = wire.StatementLog(OLD, 1, 6, [(2, 4, "no_space")])
    said = wire.Statement(world.LOG, [gone, wire.StatementLog(world.LOG, 1, 11)], used=0.5, hours=30.0)
    old = world.pack(*(world.sample(n, 1.0, now_ms - (60 - n) * MINUTE, OLD) for n in (1, 5)))
    bad = records(7, RAIN, at_ms=now_ms - 3 * MINUTE)
    fill(
        folder, now_ms, ("backlog", old), ("data", level(now_ms, 1, 2, 3)), ("data", bad),
        ("data", level(now_ms, 8, 9, 10)), ("spool", wire.encode(said)),
    )  # fmt: skip
    found = read(folder, "gaps")
    assert [(g["kind"], g["reason"], g["log"], g["from"], g["to"], g["samples"]) for g in found["gaps"]] == [
        ("gone", "no_space", OLD, 2, 4, 3),
        ("held", "held", world.LOG, 4, 6, 3),
        ("rejected", "unknown_channel", world.LOG, 7, 7, 1),
    ]
    held = found["gaps"][1]
    assert (held["used"], held["hours"], held["stations"]) == (0.5, 30.0, ["kasuga-bridge"])
    assert held["since"] < held["until"]
    assert found["totals"]["samples"] == {"stored": 8, "rejected": 1, "gone": 3, "held": 3, "unknown": 0}
    text = suimon(folder, "gaps", "--check", expect=1).splitlines()
    assert text[2].endswith("gone: thinned on the device because its spool was full")
    assert text[3].endswith("held by the device, will come as backlog; its spool is 50 % full, with room for 1 d 6 h")
    assert text[4].endswith("(suimon letters list --code unknown_channel)")
    assert text[5].startswith("3 gaps: 3 held, 3 gone, 1 rejected; 8 samples of 1 device stored")
    assert [g["kind"] for g in read(folder, "gaps", "--since", "20min")["gaps"]] == ["held", "rejected"]
    assert len(read(folder, "gaps", "--station", "kasuga-bridge", "--device", "kasuga-01")["gaps"]) == 3


def test_backlog_closes_a_gap(folder: Path, now_ms: int) -> None:
    """As it arrives, the gap shrinks, and is no more."""
    fill(folder, now_ms, ("data", level(now_ms, 1, 9, 10)), ("spool", world.statement(1, 11)))
    assert [(g["from"], g["to"]) for g in read(folder, "gaps")["gaps"]] == [(2, 8)]
    fill(folder, now_ms, ("backlog", level(now_ms, 2, 3, 4)))
    assert [(g["from"], g["to"]) for g in read(folder, "gaps")["gaps"]] == [(5, 8)]
    fill(folder, now_ms, ("backlog", level(now_ms, 5, 6, 7, 8)))
    assert read(folder, "gaps")["gaps"] == []


def test_a_silent_device(folder: Path, now_ms: int) -> None:
    """No number tells of what never came: the silence itself is listed, with the last reading."""
    assert "there is no store" in suimon(folder, "gaps", expect=4)
    fill(folder, now_ms, ("spool", world.statement(1, 1)))
    (gap,) = read(folder, "gaps")["gaps"]
    assert (gap["kind"], gap["since"], gap["sentence"]) == ("silent", None, "never heard from")
    fill(folder, now_ms, ("data", level(now_ms - 10 * MINUTE, 1, top=1)))
    (gap,) = read(folder, "gaps")["gaps"]
    assert (gap["kind"], gap["samples"], gap["until"]) == ("silent", None, None)
    assert gap["since"] is not None


def test_a_mistyped_name(folder: Path) -> None:
    """It must not look like a house without gaps."""
    assert "Did you mean 'kasuga-bridge'" in " ".join(
        suimon(folder, "gaps", "--station", "kasuga-brige", expect=2).replace("│", "").split()
    )


def test_status(folder: Path, now_ms: int) -> None:
    """Store, devices, account, letters and what is owed, read beside the bridge; whether one runs is seen from its
    lock, which is not taken for that."""
    boot = b'{"state":"offline","boot":"b","since_ms":1}'
    fill(
        folder, now_ms, ("data", level(now_ms, *range(1, 11))), ("spool", world.statement(1, 12)), ("status", boot),
        ("data", b"no json"),
    )  # fmt: skip
    found = read(folder, "bridge", "status")
    assert found["samples"] == {"stored": 10, "rejected": 0, "gone": 0, "held": 1, "unknown": 0}
    assert found["devices"] == {"online": [], "offline": ["takamatsu/kasuga-01"], "unknown": []}
    assert (found["letters"], found["notices"], found["owed"]) == ({"not_json": 1}, [], [])
    assert (found["running"], found["influx_behind"], found["requests"]) == (False, None, 0)
    assert found["store"]["bytes"] > 10_000
    bridge, _ = config.load_bridge(folder)
    store = Store(bridge.store)
    text = suimon(folder, "bridge", "status")
    store.close()
    assert text.startswith("bridge   running; last commit 20")
    assert "devices  1 offline\n         offline: takamatsu/kasuga-01\n" in text
    assert "samples  10 stored, 1 held\n" in text
    assert "letters  1 not_json\n" in text


def test_status_says_that_an_edit_is_not_in_force(folder: Path, now_ms: int) -> None:
    """By which stations the running bridge judges, and what puts others in force."""
    fill(folder, now_ms)
    assert read(folder, "bridge", "status")["configuration"] is None
    bridge, registry = config.load_bridge(folder)
    store = Store(bridge.store)
    assert store.judge_by(registry.digest(), now_ms)
    assert "judges   by the stations of 2" in suimon(folder, "bridge", "status")
    assert "reload" not in suimon(folder, "bridge", "status")
    stations = folder / "stations.yaml"
    stations.write_text(stations.read_text().replace("10min", "20min", 1).replace("60s", "61s", 1))
    assert "says others, 'suimon bridge reload' puts them in force" in suimon(folder, "bridge", "status")
    store.close()
    found = read(folder, "bridge", "status")
    assert (found["configuration"]["edited"], found["running"]) == (True, False)
    assert "judges" not in suimon(folder, "bridge", "status"), "it begins with the files as they are"


def test_status_says_what_lasts(folder: Path, now_ms: int) -> None:
    """Notices that are open, with their sentence, and notifications that are owed."""
    fill(folder, now_ms)
    bridge, _ = config.load_bridge(folder)
    store = Store(bridge.store)
    store._db.execute(
        "INSERT INTO notices (key, code, tenant, device, detail, since_ms) VALUES ('k', ?, 't', 'd', '', 0)",
        ("device_clock",),
    )
    store._db.execute(
        "INSERT INTO outbox (key, medium, recipient, body, state, owed_ms) VALUES ('k', ?, 'screen', '', 'owed', 0)",
        ("console",),
    )
    store.close()
    text = suimon(folder, "bridge", "status")
    assert (
        "notice   t/d: the device's clock is not set, or so far ahead that its samples are refused, since 1970" in text
    )
    (owed,) = [line.split() for line in text.splitlines() if line.startswith("screen")]
    assert (owed[:3], owed[3][:4], owed[-3:]) == (["screen", "console", "1"], "1970", ["not", "tried", "yet"])


def test_status_says_how_the_context_broker_stands(folder: Path, now_ms: int) -> None:
    """Who waits since when and why, when it last answered, and which station it refuses by which status."""
    fill(folder, now_ms)
    assert "orion" not in suimon(folder, "bridge", "status")
    with (folder / "bridge.yaml").open("a") as file:
        file.write('\norion: {url: "http://127.0.0.1:1026"}\n')
    assert "orion    0 stations wait; last answer never\n" in suimon(folder, "bridge", "status") + "\n"
    bridge, _ = config.load_bridge(folder)
    store = Store(bridge.store)
    standing = Standing(1, now_ms, "503 busy", now_ms, ((400, 1), (422, 2)), (("urn:x", "422 no"),))
    assert store.note("orion", orionstanding.text(standing))
    store.close()
    text = suimon(folder, "bridge", "status")
    assert "orion    1 station waits since 2" in text
    assert "(503 busy); last answer 2" in text
    assert "; refused since the start: 1 by 400, 2 by 422\n" in text
    assert "         refused as it is now: urn:x (422 no)" in text
    assert read(folder, "bridge", "status")["orion"]["refused"] == {"400": 1, "422": 2}


def test_status_says_whether_bulletins_are_received(folder: Path, now_ms: int) -> None:
    """When the feed was heard last, why not, and what became of its documents."""
    fill(folder, now_ms)
    assert "bulletin" not in suimon(folder, "bridge", "status")
    with (folder / "bridge.yaml").open("a") as file:
        file.write("\nbulletins: {offices: [高松地方気象台], areas: {高松市: everybody}}\n")
    assert "bulletin last heard never; since the start: none came\n" in suimon(folder, "bridge", "status") + "\n"
    bridge, _ = config.load_bridge(folder)
    store = Store(bridge.store)
    fates = {"shown": 2, "elsewhere": 1, "test": 0}
    standing = bulletinstanding.Standing(now_ms, now_ms, "answer 503", now_ms, fates)
    assert store.note("bulletins", bulletinstanding.text(standing))
    store.close()
    text = suimon(folder, "bridge", "status")
    assert "bulletin not received since 2" in text
    assert "(answer 503); last heard 2" in text
    assert "since the start: 2 shown, 1 elsewhere" in text
    assert read(folder, "bridge", "status")["bulletins"]["reason"] == "answer 503"
