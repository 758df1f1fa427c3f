"""Personal and sensitive channels: stored, flagged, counted, and told to nobody outside.

What leaves is looked at from behind: everything that a night leaves in the store besides its readings, every file
beside it, every command that reads it, every point, every line of the log. A new table, a new command or a new reader
of readings stands in no list here, and fails until somebody has decided.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from itertools import takewhile
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from gateway import config, settings, storefile
from gateway.bridge.influx import Answer, Drain, Fate
from gateway.bridge.told import Told
from gateway.cli.main import app
from gateway.model import Flag
from gateway.stations import Registry
from tests import world
from tests.servers import wait_for
from tests.test_cli_alert import STATIONS
from tests.test_cli_journal import MINUTE, STATION, T0, House

ROOT = Path(__file__).parents[1]
CHANNELS = """
      plough_lat: {quantity: latitude, interval: 60s}
      plough_speed: {quantity: velocity, interval: 60s, internal: true}
"""
PLACES = {"plough_lat": 34.567891, "plough_speed": 13.579246}
TELLTALE = re.compile(rb"plough_|34\.5[67]|13\.5[78]")

# Where readings stand: inside. Everything else of the store may be told, printed, published or exported.
INSIDE = {
    "observations": "the readings themselves, with raw value",
    "channels": "which series there are",
    "dead_letters": "what devices sent and nobody could read; shown by `suimon letters` on the bridge's own machine",
    "quality_states": "what the quality tests remember",
    "sqlite_sequence": "SQLite's own",
}
# Which modules read or write readings, and how an internal channel is kept there.
READERS = {
    "gateway/storefile.py": "POINTS and ASSESSED: `influx.Drain` asks `Registry.may_leave`",
    "gateway/boardfile.py": "`latest` asks `Registry.may_leave`; a row shows a channel that is watched or not internal",
    "gateway/seriesfile.py": "the series that it is asked for: `web.rest.open_channels` says which",
    "gateway/pastrows.py": "the channel that `seriesfile` asks it for, and how many rows of it there are",
    "gateway/web/boards.py": "how far the store is",
    "gateway/web/ops.py": "how many InfluxDB lacks",
    "gateway/web/rest.py": "where vehicles are, for staff alone",
    "gateway/journalfile.py": "`newest` of a channel that is watched; an internal one is not",
    "gateway/cli/status.py": "the time of the last one, and how many wait",
    "gateway/gapfile.py": "times beside a gap",
    "gateway/demo/account.py": "the demonstration's own account, of its own stations",
    "gateway/demo/run.py": "the demonstration's own account, of its own stations",
    "gateway/bridge/requests.py": "where a refill begins",
    "gateway/bridge/vitals.py": "how many wait",
    "gateway/bridge/prune.py": "what is deleted",
    "gateway/bridge/store.py": "what is written, and the newest time of each series",
}
# Commands that show what is in a store; the rest by what they are about.
SHOWING: list[list[str]] = [
    ["bridge", "status", "--json"],
    ["gaps", "--json"],
    ["alert", "list", "--json"],
    ["journal", "show", "--from", "2025-11-01T00:00", "--json"],
    ["journal", "verify", "--json"],
    ["journal", "export", "--from", "2025-11-01T00:00", "--out", "OUT"],
    ["letters", "list", "--json"],
    ["cap", "list", "--json"],
    ["paper"],
    ["station", "thresholds", "list", "--json"],
]
OTHER = {
    (
        "check",
        "demo",
        "doctor",
        "score",
        "sim *",
        "profile *",
        "source *",
    ): "configuration, simulations, recordings, one payload: no store is read",
    (
        "edge *",
        "remote *",
        "device *",
    ): "devices and their credentials; `edge read` stands where the sensor does: inside",
    ("web user *", "web token *", "web audit"): "accounts, and what people did by the page",
    ("web run",): "the page: test_web asks of every path who may read it",
    ("bridge run", "bridge reload", "bridge refill"): "the processes; a refill goes the way of every point",
    ("bridge backup", "bridge restore"): "copies of the whole store, for its owner",
    (
        "alert show",
        "alert plan",
        "alert test",
        "alert drill *",
        "alert maintenance *",
    ): "one episode, of watched channels",
    (
        "alert acknowledge",
        "alert confirm",
        "alert reject",
        "alert close",
        "alert mute",
        "alert unmute",
    ): "acts of people",
    (
        "letters show",
        "letters explain",
        "letters replay",
        "letters drop",
    ): "single dead letters, on the bridge's machine",
    ("journal add", "cap show", "cap text", "cap release"): "entries of people, and documents that are listed",
    ("station thresholds import",): "thresholds",
}


class Night(House):
    """A plough that is followed through the night in which the river at its depot rises and falls silent."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "stations.yaml").write_text(_with(STATIONS, CHANNELS))
        self.bridge, self.registry = config.load_bridge(folder)

    def drives(self, minutes: float, flag: Flag = Flag.GOOD) -> None:
        work = self.work(minutes)
        at = T0 + round(minutes * MINUTE)
        for channel, value in PLACES.items():
            self.seq += 1
            o = world.observation(self.seq, value, station=STATION, channel=channel, observed_ms=at, flag=flag)
            work.observe([o])
        self.write(work)
        Told().committed(work)

    def passes(self, minutes: float) -> None:
        work = self.work(minutes)
        work.tick()
        self.write(work)
        Told().committed(work)


def _with(text: str, channels: str) -> str:
    """The station's channels, and these."""
    at = text.index("channels:\n", text.index(f"{STATION}:")) + len("channels:")
    return text[:at] + channels.rstrip("\n") + text[at:]


@pytest.fixture
def night(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Night]:
    caplog.set_level(logging.DEBUG)
    with Night(tmp_path) as found:
        for minute in range(0, 30, 2):
            found.reads(minute, 1.0 + minute / 6)
            found.drives(minute, Flag.SUSPECT if minute == 10 else Flag.GOOD)
        for minute in range(30, 300, 30):
            found.passes(minute)
        found.reads(310, 4.0)
        found.drives(310)
        found.passes(311)
        yield found


def leaves(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path
        return
    for name, found in inner.items():
        yield from leaves(found, (*path, name))


def test_nothing_of_it_stands_where_people_are_told(night: Night) -> None:
    """Transitions, notifications, the journal, CAP, notices, channel states: neither name nor value of it."""
    with contextlib.closing(sqlite3.connect(night.bridge.store)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: db.execute(f"SELECT * FROM {name}").fetchall() for name in tables}
    assert len(rows["observations"]) > 20
    assert len(rows["journal"]) > 2
    assert rows["outbox"], "a night without notifications shows nothing"
    for name in set(tables) - INSIDE.keys():
        assert not TELLTALE.search(repr(rows[name]).encode()), f"an internal channel stands in {name}"


def test_the_log_says_nothing_of_it(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    """Neither name nor value."""
    said = [record.getMessage() for record in caplog.get_records("setup")]
    assert any("rank" in line for line in said)
    assert not TELLTALE.search("\n".join(said).encode())


def test_no_command_shows_it(night: Night, tmp_path: Path) -> None:
    """What is printed and what is exported, in words and as JSON."""
    out = tmp_path / "out"
    out.mkdir()
    for words in SHOWING:
        for variant in [words, [w for w in words if w != "--json"]][: 1 + ("--json" in words)]:
            told = [str(out) if w == "OUT" else w for w in variant]
            done = CliRunner().invoke(app, [*told, "--config", str(night.folder)])
            assert done.exit_code == 0, f"{words}: {done.output}"
            assert not TELLTALE.search(done.output.encode()), words
    files = [path for path in out.rglob("*") if path.is_file()]
    assert any(b"5.67" in path.read_bytes() for path in files), "the export shows the night"
    for path in [*files, *(p for p in (night.folder / "cap").rglob("*") if p.is_file())]:
        assert not TELLTALE.search(path.read_bytes()), path.name


def test_every_command_was_decided_about() -> None:
    """A new command stands in none of the lists, and somebody must say what it shows."""
    decided = {" ".join(takewhile(str.isalpha, words)) for words in SHOWING}
    patterns = [pattern for group in OTHER for pattern in group]
    for path in map(" ".join, leaves(typer.main.get_command(app))):
        known = path in decided or any(fnmatch(path, pattern) for pattern in patterns)
        assert known, f"suimon {path}: say in this file what it shows"


def test_every_reader_of_readings_was_decided_about() -> None:
    """A new module that reads observations stands in no list, and somebody must say how it asks."""
    sql = re.compile(r"\b(FROM|JOIN|INTO) observations\b")
    found = {
        str(path.relative_to(ROOT)) for path in (ROOT / "gateway").rglob("*.py") if sql.search(path.read_text("utf-8"))
    }
    assert found == READERS.keys()


class Taking:
    """An InfluxDB that takes everything."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, lines: Sequence[str]) -> Answer:
        self.lines += lines
        return Answer(Fate.ACCEPTED)


def drained(store: Path, registry: Registry) -> tuple[list[str], int]:
    """The lines that went out, and up to which row."""
    writer = Taking()
    with contextlib.closing(storefile.connect(store)) as db:
        last = db.execute("SELECT max(id) FROM observations").fetchone()[0]
    to = settings.Influx("v1", "http://127.0.0.1:1", "floods", batch=4)
    drain = Drain(to, writer, store, lambda *_: None, lambda: T0, (0.01,), leaves=registry.may_leave)
    drain.start()
    wait_for("the drain", lambda: drain.position == last)
    drain.stop()
    return writer.lines, last


def test_no_point_of_it_goes_out_and_none_waits(night: Night) -> None:
    """Its rows are passed over, the others are all there, and the cursor is at the end."""
    lines, last = drained(night.bridge.store, night.registry)
    assert len(lines) == last - 2 * 16
    assert not TELLTALE.search("\n".join(lines).encode())


def test_what_is_no_longer_configured_is_judged_by_its_quantity(night: Night) -> None:
    """A position stays in the house when its channel is taken out of the configuration."""
    assert not night.registry.may_leave("takamatsu", STATION, "plough_lat")
    assert night.registry.may_leave("takamatsu", STATION, "water_level")
    assert not night.registry.may_leave("takamatsu", "gone", "x", "longitude")
    assert night.registry.may_leave("takamatsu", "gone", "x", "water_level")


# --- how it is said ---------------------------------------------------------------------------------------------------


def read(folder: Path, channels: str) -> tuple[list[str], Registry | None]:
    (folder / "stations.yaml").write_text(_with(STATIONS, channels))
    found = config.inspect(folder)
    return [p.message for p in found.problems], found.registry


@pytest.mark.parametrize(
    ("channel", "internal"),
    [
        ("x: {quantity: latitude, interval: 60s}", True),
        ("x: {quantity: longitude, interval: 60s, internal: false}", False),
        ("x: {quantity: velocity, interval: 60s}", False),
        ("x: {quantity: velocity, interval: 60s, sensor: {profile: gps_nmea, value: velocity}}", True),
        (
            "x: {quantity: velocity, interval: 60s, internal: false, sensor: {profile: gps_nmea, value: velocity}}",
            False,
        ),
        ("x: {quantity: air_temperature, interval: 60s, internal: true}", True),
    ],
)
def test_what_is_internal(tmp_path: Path, channel: str, internal: bool) -> None:
    """As the station says; else positions, and what the profile of the sensor calls so."""
    told, registry = read(tmp_path, f"\n      {channel}\n")
    assert told == []
    assert registry is not None
    (found,) = (s.channels["x"] for s in registry.stations.values() if "x" in s.channels)
    assert found.internal is internal


def test_an_internal_channel_cannot_alarm(tmp_path: Path) -> None:
    """Who would be told of it? Each key that would tell it is named."""
    told, _ = read(tmp_path, "\n      x: {quantity: rain, interval: 600s, internal: true, rain: {kind: amount}}\n")
    assert told == ["an internal channel is told to nobody, and rain would tell it. Leave rain out"]
