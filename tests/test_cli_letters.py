"""`suimon letters` as an operator types it, on a real store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from gateway import config
from gateway.bridge.store import Store
from gateway.bridge.work import Rules, Work
from gateway.cli.main import app
from gateway.model import Message
from tests import readme
from tests.test_requests import RAIN, records
from tests.world import T0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The README's configuration, and a store that met three mistakes."""
    folder = readme.write_configuration(tmp_path)
    bridge, registry = config.load_bridge(folder)
    store = Store(bridge.store)
    work = Work(store.load(), Rules(registry, bridge, T0, None, None))
    topic = "suimon/v1/takamatsu/kasuga-01/data"
    for n in (1, 2):
        work.take(Message(topic, records(n, RAIN), T0 + n))
    work.take(Message(topic, b"\x1b[31m{\xff", T0 + 3))
    store.commit(work)
    store.close()
    return folder


def suimon(folder: Path, *words: str, expect: int = 0, typed: str = "") -> Any:
    done = CliRunner().invoke(app, ["letters", *words, "--config", str(folder)], input=typed)
    assert done.exit_code == expect, done.output
    return done


def read(folder: Path, *words: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(suimon(folder, *words, "--json").stdout)
    assert document["version"] == 1
    return document


def mend(folder: Path) -> None:
    """The missing channel is added."""
    path = folder / "stations.yaml"
    text = yaml.safe_load(path.read_text())
    text["stations"]["kasuga-bridge"]["channels"]["rain"] = {"interval": "60s"}
    path.write_text(yaml.safe_dump(text, allow_unicode=True))


def test_list(folder: Path) -> None:
    """One line for each device and reason, with counts, times and their zone; a total; nothing is nothing."""
    lines = suimon(folder, "list").stdout.splitlines()
    assert "times are local" in lines[0]
    assert lines[1].split() == ["device", "reason", "letters", "first", "last", "newest"]
    assert [line.split()[:3] for line in lines[2:4]] == [
        ["takamatsu/kasuga-01", "not_json", "1"],
        ["takamatsu/kasuga-01", "unknown_channel", "2"],
    ]
    assert lines[4].startswith("3 letters: 1 not_json, 2 unknown_channel.")
    assert suimon(folder, "list", "--code", "time_future").stdout == "no dead letters\n"


def test_list_as_json(folder: Path) -> None:
    """A stable object: single letters, groups and totals."""
    found = read(folder, "list")
    assert found.keys() == {"version", "store", "letters", "truncated", "groups", "totals"}
    assert [(x["id"], x["code"], x["seq"]) for x in found["letters"]] == [
        (1, "unknown_channel", 1), (2, "unknown_channel", 2), (3, "not_json", None),
    ]  # fmt: skip
    assert found["totals"] == {"letters": 3, "by_code": {"not_json": 1, "unknown_channel": 2}, "ended": []}
    cut = read(folder, "list", "--limit", "1")
    assert ([x["id"] for x in cut["letters"]], cut["truncated"], cut["totals"]["letters"]) == ([3], True, 3)


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (("--station", "kasuga-bridge"), [1, 2, 3]),
        (("--device", "nobody"), []),
        (("--until", "2025-11-24T16:00:00.002Z"), [1]),
        (("--since", "2025-11-25T01:00:00.003+09:00"), [3]),
        (("--since", "1h"), []),
    ],
)
def test_filters(folder: Path, options: tuple[str, ...], ids: list[int]) -> None:
    """By station, device and time."""
    assert [x["id"] for x in read(folder, "list", *options)["letters"]] == ids


def test_mistyped_filters(folder: Path) -> None:
    """A reason or time that is none is told with what would be one."""
    assert "One of foreign_topic" in " ".join(suimon(folder, "list", "--code", "bad", expect=2).output.split())
    assert "is no time" in suimon(folder, "list", "--since", "yesterday", expect=2).output


def test_show_does_nothing_to_the_terminal(folder: Path) -> None:
    """Control characters and broken text are written out."""
    out = suimon(folder, "show", "3").stdout
    assert "\\x1b[31m{\\xff" in out
    assert "\x1b" not in out
    assert "not_json: the payload is not JSON text" in out
    assert "sample  log 7d1f9c2ab4e0, number 1, record 0" in suimon(folder, "show", "1").stdout
    assert "there is no letter 9 (any more); the newest is 3" in suimon(folder, "show", "9", expect=4).output


def test_explain_before_and_after_mending(folder: Path) -> None:
    """The place to change, and whether the configuration that is read here is enough."""
    out = suimon(folder, "explain", "1").stdout
    assert "stations.yaml, station kasuga-bridge: add channel 'rain'" in out
    assert "it would still be rejected: unknown_channel" in out
    mend(folder)
    assert "it would be accepted: 1 value." in suimon(folder, "explain", "1").stdout
    found = read(folder, "explain", "1")
    assert (found["accepted"], found["values"], found["remaining"]) == (True, 1, [])


def test_replay_without_a_bridge(folder: Path) -> None:
    """It is done here, which is said; what still is wrong is told by its sentence."""
    mend(folder)
    done = suimon(folder, "replay")
    assert "no bridge runs on this store; it was done here" in done.stderr
    assert done.stdout.splitlines() == [
        "3 letters taken again: 2 values stored",
        "1 stay: the payload is not JSON text (not_json)",
    ]
    found = read(folder, "list")["totals"]
    assert found["by_code"] == {"not_json": 1}
    assert [(e["code"], e["fate"], e["letters"]) for e in found["ended"]] == [("unknown_channel", "replayed", 2)]


def test_drop_asks_first(folder: Path) -> None:
    """Nothing goes without a yes, and never everything for want of a choice."""
    assert "drop what?" in suimon(folder, "drop", "--yes", expect=4).output
    suimon(folder, "drop", "--code", "not_json", typed="n\n", expect=1)
    assert read(folder, "list")["totals"]["letters"] == 3
    assert suimon(folder, "drop", "--code", "not_json", typed="y\n").stdout.endswith("1 letters dropped\n")
    assert read(folder, "drop", "1", "--yes")["dropped"] == 1
    assert [x["id"] for x in read(folder, "list")["letters"]] == [2]


def test_no_store_yet(tmp_path: Path) -> None:
    """Said, and none is made."""
    folder = readme.write_configuration(tmp_path)
    assert "there is no store" in suimon(folder, "list", expect=4).output
    assert not (folder / "store.db").exists()
