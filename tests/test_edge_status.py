"""`suimon edge status`: what a person or a script learns of a card, also beside a running agent."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.edge.spool import Spool
from gateway.errors import GoneReason
from gateway.model import ClockState, Reading
from tests.spools import append, filled, settle
from tests.world import STATION, T0

GOOD = Path(__file__).parent / "configs" / "nothing-wrong"
MAX_BYTES = 64_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(GOOD, tmp_path / "config")
    return tmp_path / "config"


def asked(folder: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["edge", "status", "--config", str(folder), *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_status_beside_a_running_agent(folder: Path) -> None:
    """What is held, used and given up, from the card; what receipts settled, as the agent noted it."""
    clock = [0.0]
    spool = Spool(folder / "spool.db", MAX_BYTES, T0, now=lambda: clock[0])
    filled(spool, 500)
    settle(spool, spool.opening, 100)
    spool._room.lose(spool.opening, 200, GoneReason.DAMAGED)
    spool.set_aside(spool.opening, 300)
    clock[0] += 600
    filled(spool, 1)
    found = json.loads(asked(folder, "--json"))
    hours = found.pop("hours_total")
    assert hours > 1000
    assert found == {
        "version": 1,
        "path": str(folder / "spool.db"),
        "logs": 1,
        "logs_ceiling": 200,
        "samples": 499,
        "oldest_ms": T0 + 1000,
        "bytes_used": spool.used_bytes(),
        "bytes_ceiling": MAX_BYTES,
        "gone": {"damaged": 1, "set_aside": 1},
        "set_aside": 1,
        "agent": {"at_ms": T0 + 501_000, "opening": spool.opening, "unsettled": 399, "notices": []},
        "damaged": [],
    }
    words = asked(folder)
    for part in ("499 samples in 1 of at most 200 logs", "2025-11-24T16:00:01Z", "without a receipt: 399 samples",
                 "gone: 1 samples, the spool file was damaged", "without the bridge",
                 "set aside: 1 samples"):  # fmt: skip
        assert part in words
    append(spool, 1)
    assert spool.commit() == 1
    spool.close()


def test_status_before_a_receipt_and_after_damage(folder: Path) -> None:
    """What nobody knows is called so; damaged files beside the spool are named."""
    (folder / "spool.db").write_bytes(b"no database" * 1000)
    spool = Spool(folder / "spool.db", MAX_BYTES, T0)
    spool.append(T0, ClockState.SYNCED, [Reading(STATION, "water_level", "m", 1.0)])
    spool.close()
    found = json.loads(asked(folder, "--json"))
    assert found["agent"] == {"at_ms": T0, "opening": spool.opening, "unsettled": None, "notices": ["spool_damaged"]}
    assert found["damaged"] == ["spool.db.damaged-20251124T160000Z"]
    assert "not known" in asked(folder)
    assert "notice: a damaged spool file was set aside" in asked(folder)


def test_status_of_a_spool_of_0_1_0(folder: Path) -> None:
    """A card of an earlier version is read as it is; nothing is migrated by looking."""
    db = sqlite3.connect(folder / "spool.db")
    db.executescript((Path(__file__).parent / "releases/0.1.0/spool.sql").read_text(encoding="utf-8"))
    db.close()
    before = (folder / "spool.db").read_bytes()
    found = json.loads(asked(folder, "--json"))
    assert (found["samples"], found["agent"]) == (25, None)
    assert found["gone"] == {"no_space": 7, "log_limit": 9}
    assert (folder / "spool.db").read_bytes() == before


def test_status_without_a_spool_says_what_to_do(folder: Path) -> None:
    """A remedy, and the exit code of what is not there."""
    result = CliRunner().invoke(app, ["edge", "status", "--config", str(folder)])
    assert result.exit_code == 4
    assert "the agent makes it when it first runs" in result.stderr
