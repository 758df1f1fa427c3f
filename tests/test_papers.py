"""The sheet on paper around its page: `paper:` in bridge.yaml, `suimon paper`, and a bridge that keeps the folder."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway import config, settings
from gateway.bridge.papers import sheet
from gateway.bridge.service import Service
from gateway.bridge.store import Store
from gateway.bridge.work import Work
from gateway.cli.main import app
from gateway.clock import SystemClock
from gateway.errors import ConfigError, NoticeCode
from gateway.model import Condition
from gateway.stations import Registry
from tests import world
from tests.places import LEVELS, T0, WATER_LEVEL, station
from tests.servers import wait_for
from tests.test_cli_alert import BRIDGE
from tests.test_cli_journal import CAP, House

WARM = replace(WATER_LEVEL, name="air_temperature", quantity="air_temperature", thresholds=())


def configured(folder: Path, paper: str) -> settings.Bridge:
    """The settings of a bridge.yaml with that `paper:`."""
    House(folder, f"{BRIDGE}{CAP}paper: {paper}\n")
    return config.load_bridge(folder)[0]


def test_what_is_configured(tmp_path: Path) -> None:
    """Ten minutes, three days, Japanese, under the name of the CAP feed; or as it says. Without it there is none."""
    plain = configured(tmp_path, "{folder: sheets}")
    assert plain.paper == settings.Paper(tmp_path / "sheets", 600.0, 3 * 86_400.0, "ja", plain.cap.sender_ja)  # type: ignore[union-attr]
    whole = configured(tmp_path, "{folder: sheets, every: 1min, keep: 12h, language: en, sender: Duty room}")
    assert whole.paper == settings.Paper(tmp_path / "sheets", 60.0, 43_200.0, "en", "Duty room")
    House(tmp_path, BRIDGE)
    assert config.load_bridge(tmp_path)[0].paper is None


@pytest.mark.parametrize(
    ("paper", "told"),
    [
        ("{folder: sheets, every: 59s}", "59 s is too often for paper. Write at least '1min'"),
        ("{folder: sheets, keep: 9min}", "a copy is kept until the next one is made at least. Write for example '3d'"),
        ("{every: 10min}", "folder"),
        ("{folder: sheets, language: fr}", "fr"),
        ("sheets", "paper"),
    ],
)
def test_what_is_wrong_is_told(paper: str, told: str, tmp_path: Path) -> None:
    """At its place in the file, with what to write."""
    with pytest.raises(ConfigError) as raised:
        configured(tmp_path, paper)
    (problem,) = raised.value.problems
    assert problem.file == "bridge.yaml"
    assert told in str(problem)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder whose store has one old reading, and no bridge."""
    with House(tmp_path) as there:
        there.reads(0, 1.0)
    return tmp_path


def command(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["paper", *map(str, words)])
    return result.exit_code, result.stdout + result.stderr


def test_the_command_without_a_bridge(house: Path) -> None:
    """It prints what is known, old as it is, and says that nobody judges."""
    code, out = command("--config", house)
    assert code == 0
    assert out.startswith("<!doctype html>")
    assert "ブリッジ停止中" in out
    assert "平常（受信中）" not in out
    code, out = command("--config", house, "--english")
    assert (code, "no bridge runs" in out) == (0, True)


def test_the_command_beside_a_bridge(house: Path) -> None:
    """Of a bridge that runs it does not say so."""
    store = Store(config.load_bridge(house)[0].store)
    try:
        code, out = command("--config", house)
    finally:
        store.close()
    assert (code, "ブリッジ停止中" in out) == (0, False)


def test_the_command_writes_a_file(house: Path, tmp_path: Path) -> None:
    """Whole, for its owner and group; where it cannot, it says why and leaves nothing."""
    out = tmp_path / "now.html"
    assert command("--config", house, "--out", out) == (0, f"{out}\n")
    assert out.read_text().endswith("</html>\n")
    assert out.stat().st_mode & 0o777 == 0o640
    code, told = command("--config", house, "--out", tmp_path / "nowhere" / "now.html")
    assert code != 0
    assert "cannot write" in told
    assert "Traceback" not in told


def test_the_command_before_there_is_a_store(tmp_path: Path) -> None:
    House(tmp_path)
    code, told = command("--config", tmp_path)
    assert code != 0
    assert "there is no store" in told


def test_a_bridge_keeps_the_folder_and_says_when_it_cannot(tmp_path: Path) -> None:
    """After its first reading the station is on the sheet; a folder that stays away becomes a notice. It needs neither
    broker nor InfluxDB."""
    to = settings.Paper(tmp_path / "sheets")
    service = Service(world.bridge(tmp_path / "store.db", paper=to), world.registry(), SystemClock())
    papers = service._outlets.papers
    assert papers is not None
    try:
        work = Work(service._memory, service._rules())
        now = work.rules.now_ms
        work.observe([world.observation(i, 2.2, observed_ms=now - 9000 + i, received_ms=now) for i in range(3)])
        service._write(work)
        papers.start()
        wait_for("the sheet", lambda: list(to.folder.glob("city-*.html")))
        assert "2.20 m" in (to.folder / "city.html").read_text()
        papers.failing = "Permission denied"
        work = Work(service._memory, service._rules())
        service._conditions(work)
        waiting = service._memory.pending[(NoticeCode.PAPER_WAITS, "", "")]
        assert (waiting.on, waiting.detail) == (True, "Permission denied")
    finally:
        papers.stop()
        service._store.close()


def test_under_work_a_station_stays_on_the_sheet(tmp_path: Path) -> None:
    """Also one without levels; of which nothing may leave is not there at all, whatever is done to it."""
    hidden = replace(WARM, internal=True)
    places = [station("graded", "a", WATER_LEVEL), station("warm", "b", WARM), station("secret", "c", hidden)]
    registry = Registry(places, LEVELS)
    path = tmp_path / "store.db"
    Store(path).close()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.executemany(
            "INSERT INTO suspensions (kind, tenant, station, since_ms, until_ms, by, note, rank)"
            " VALUES ('maintenance', ?, ?, ?, ?, 'me', '', 0)",
            [(x.tenant, x.id, T0, T0 + 3_600_000) for x in places],
        )
    found = sheet(path, registry, T0 + 1000, "")
    assert {x.station.id: x.condition for x in found.rows} == dict.fromkeys(("graded", "warm"), Condition.MAINTENANCE)
