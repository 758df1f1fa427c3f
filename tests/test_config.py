"""The configuration folder as a whole: what is loaded, what is told, and that one mistake hides no other."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gateway import config, processfile, profilefile, stationfile, yamlfile
from gateway.cli.check import check
from gateway.errors import ConfigError, Problem
from gateway.settings import (
    Bridge,
    Broker,
    Edge,
    Heartbeat,
    Influx,
    ModbusTcp,
    Raised,
    Recipient,
    Sensor,
    Spool,
    Tls,
    Trigger,
)

CONFIGS = Path(__file__).parent / "configs"
GOOD = CONFIGS / "nothing-wrong"
SECRET = "hunter2-Tr0ub4dor"  # as it stands in configs/secret-in-the-wrong-place

app = typer.Typer()
app.command()(check)


def _expected(folder: Path) -> str:
    return (folder / "expected.txt").read_text()


@pytest.mark.parametrize("folder", sorted(CONFIGS.iterdir()), ids=lambda folder: folder.name)
def test_defect(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`suimon check` in each folder prints exactly its expected.txt, and exits 3 where anything is wrong."""
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(app, [])
    assert result.stdout + result.stderr == _expected(folder)
    assert result.exit_code == (0 if folder == GOOD else 3)
    assert (result.stderr == "") == (folder == GOOD)


def test_problems_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """With --json the problems are data on standard output, and the exit code is the same."""
    monkeypatch.chdir(CONFIGS / "thresholds-out-of-order")
    result = CliRunner().invoke(app, ["--json"])
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["file"], problem["line"], problem["col"]) == ("stations.yaml", 19, 27)
    assert problem["path"] == "stations.kasuga-bridge.channels.water_level.thresholds.danger.value"
    assert problem["message"].startswith("danger (rank 4) at 1.90 m is not above caution (rank 2) at 2.00 m")
    assert (result.exit_code, result.stderr) == (3, "")
    monkeypatch.chdir(GOOD)
    result = CliRunner().invoke(app, ["--json"])
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"problems": []})


def test_no_secret_in_a_message() -> None:
    """A password written where it does not belong is told without being shown."""
    problems = config.check(CONFIGS / "secret-in-the-wrong-place")
    assert len(problems) == 4
    assert SECRET not in str(ConfigError(problems))


def test_no_secret_in_a_representation() -> None:
    """What a process logs of its settings holds no secret."""
    for loaded in (config.load_edge(GOOD)[0], config.load_bridge(GOOD)[0]):
        assert "s3cret" not in repr(loaded)


# --- what is loaded


def test_the_edge() -> None:
    """edge.yaml arrives as settings, with defaults filled in and secrets read and stripped."""
    edge, profiles = config.load_edge(GOOD)
    assert edge == Edge(
        tenant="takamatsu",
        device="kasuga-01",
        broker=Broker("mqtt.example", 8883, "takamatsu/kasuga-01", "s3cret-mqtt", 10, Tls()),
        spool=Spool(GOOD / "spool.db", 0.5, 64_000_000),
        buses={"mast": ModbusTcp("192.168.1.20", 502, 2.0)},
        sensors=(
            Sensor(
                "level",
                "kasuga-bridge",
                "mast",
                "acme_us10",
                60.0,
                3,
                {"water_level": "water_level"},
                Raised(10.0, (Trigger("water_level", 1.5, 1.45),)),
            ),
            Sensor("power", "kasuga-01", "mast", "sim_river_gauge", 300.0, 1, {"battery_voltage": "battery_voltage"}),
        ),
        delivery="puback",
        pack_samples=50,
        window_packs=4,
        health_s=600.0,
    )
    assert edge.broker.password == "s3cret-mqtt"
    assert {"acme_us10", "sim_river_gauge"} <= profiles.keys()
    assert profiles["acme_us10"].function == "input"


def test_the_bridge() -> None:
    """bridge.yaml arrives as settings; with TLS the port is 8883 unless another is stated."""
    bridge, registry = config.load_bridge(GOOD)
    broker = Broker("mqtt.example", 8883, "bridge", "s3cret-mqtt", 20, Tls(ca_file=GOOD / "secrets/ca.pem"))
    url = "http://127.0.0.1:8086"
    influx = Influx(api="v2", url=url, bucket="flood", org="takamatsu", token="s3cret-influx", timeout_s=5.0)
    desk = Recipient("desk", "webhook", "https://desk.example/hook", "s3cret-desk", 10.0, 3)
    assert bridge == Bridge(
        store=GOOD / "data/store.db",
        broker=broker,
        influx=influx,
        recipients=(desk, Recipient("screen", "console", notices=False)),
        trust_clock="always",
        future_tolerance_s=120.0,
        max_payload=65_536,
        max_held_bytes=16_777_216,
        letter_bytes_per_device=1_000_000,
        watch=("::1", 9464),
        heartbeat=Heartbeat("https://watcher.example/ping/42", 120.0),
    )
    assert (bridge.broker.password, bridge.influx and bridge.influx.token) == ("s3cret-mqtt", "s3cret-influx")
    assert registry.levels.name == "jp-2026"


def test_the_stations() -> None:
    """stations.yaml arrives as a registry by tenant and name, with thresholds from the lowest rank up."""
    registry = config.load_stations(GOOD)
    assert list(registry.stations) == [("takamatsu", "kasuga-bridge"), ("miki", "shinkawa"), ("takamatsu", "harbour")]
    assert registry.knows_device("miki", "shinkawa-01")
    assert not registry.knows_device("takamatsu", "shinkawa-01")
    kasuga, shinkawa = registry.stations["takamatsu", "kasuga-bridge"], registry.stations["miki", "shinkawa"]
    assert (kasuga.name_ja, kasuga.name_en, kasuga.datum, kasuga.gauge_zero) == ("春日橋", "Kasuga Bridge", "T.P.", 1.2)
    assert (shinkawa.name_ja, shinkawa.name_en) == ("新川", "新川")
    assert [station.order for station in registry.stations.values()] == [1, 7, 3]
    level = kasuga.channels["water_level"]
    assert (level.contract.interval_s, level.contract.grace_s) == (60.0, 45.0)
    assert (level.limits.sensor, level.limits.user) == ((0.0, 10.0), (-0.5, 6.0))
    assert [(t.level, t.rank, t.value) for t in level.thresholds] == [("caution", 2, 2.0), ("danger", 4, 3.0)]


def test_grace_has_a_default() -> None:
    """Without a stated grace a channel is given half its interval, at least 30 s."""
    registry = config.load_stations(GOOD)
    assert registry.stations["takamatsu", "harbour"].channels["water_level"].contract.grace_s == 30.0
    assert registry.stations["miki", "shinkawa"].channels["water_level"].contract.grace_s == 300.0


def test_days_are_days_of_japan() -> None:
    """A threshold is valid from midnight in Japan of its first day to midnight in Japan of the day it ends."""
    level = config.load_stations(GOOD).stations["takamatsu", "kasuga-bridge"].channels["water_level"]
    begin = int(datetime(2026, 5, 31, 15, tzinfo=UTC).timestamp() * 1000)
    end = int(datetime(2027, 5, 31, 15, tzinfo=UTC).timestamp() * 1000)
    assert [t.level for t in level.in_force(begin - 1)] == ["caution"]
    assert [t.level for t in level.in_force(begin)] == ["caution", "danger"]
    assert [t.level for t in level.in_force(end)] == ["caution"]


@pytest.mark.parametrize("name", ["jp-2026", "generic"])
def test_level_tables(name: str) -> None:
    """A level table begins with normal, has every rank to 5 in order, and each level once for what it is for."""
    table = config.load_levels(name)
    ranks = [level.rank for level in table.levels]
    assert table.name == name
    assert ranks == sorted(ranks)
    assert set(ranks) == set(range(6))
    assert table.by_rank(0).key == "normal"
    assert len({(level.key, level.hazard, level.basis) for level in table.levels}) == len(table.levels)


# --- which files are concerned


def _copy(tmp_path: Path, *names: str) -> Path:
    for name in names:
        source = GOOD / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    return tmp_path


def test_all_files_of_a_process_at_once(tmp_path: Path) -> None:
    """The bridge is told of every problem in both of its files, and the text counts them."""
    folder = _copy(tmp_path, "stations.yaml", "bridge.yaml")
    (folder / "stations.yaml").write_text(
        (GOOD / "stations.yaml").read_text().replace("interval: 10min", "interval: 10")
    )
    with pytest.raises(ConfigError) as raised:
        config.load_bridge(folder)
    assert {p.file for p in raised.value.problems} == {"stations.yaml", "bridge.yaml"}
    assert str(raised.value).endswith("6 problems in 2 files. Nothing was started.")


def test_missing_files(tmp_path: Path) -> None:
    """A process whose files are missing is told which."""
    with pytest.raises(ConfigError, match=r"bridge\.yaml:1:1 no such file\nstations\.yaml:1:1 no such file\n"):
        config.load_bridge(tmp_path)
    with pytest.raises(ConfigError, match=r"edge\.yaml:1:1 no such file\n"):
        config.load_edge(tmp_path)
    with pytest.raises(ConfigError, match=r"stations\.yaml:1:1 no such file\n"):
        config.load_stations(tmp_path)


def test_a_folder_without_configuration(tmp_path: Path) -> None:
    """A folder that is missing, or holds nothing of ours, is told with what is expected there."""
    expected = "Expected stations.yaml, bridge.yaml, people.yaml, edge.yaml or device_profiles/*.yaml"
    assert config.check(tmp_path) == [Problem(str(tmp_path), 1, 1, "", f"nothing to check here. {expected}")]
    assert config.check(tmp_path / "no") == [Problem(str(tmp_path / "no"), 1, 1, "", f"no such folder. {expected}")]


def test_the_edge_needs_no_stations(tmp_path: Path) -> None:
    """On a device there is no stations.yaml, and nothing is asked of it."""
    edge, _ = config.load_edge(_copy(tmp_path, "edge.yaml", "secrets", "device_profiles"))
    assert edge.device == "kasuga-01"


def test_the_level_table_in_force(tmp_path: Path) -> None:
    """The thresholds are judged by the level table that bridge.yaml names."""
    folder = _copy(tmp_path, "stations.yaml", "bridge.yaml", "secrets")
    bridge = (folder / "bridge.yaml").read_text()
    (folder / "bridge.yaml").write_text(bridge.replace("jp-2026", "generic"))
    assert config.load_bridge(folder)[1].levels.name == "generic"
    stations = (folder / "stations.yaml").read_text()
    (folder / "stations.yaml").write_text(stations.replace("caution:", "dispatch:"))
    (problem,) = config.check(folder)
    assert problem.message.startswith("unknown level 'dispatch' (level table generic has standby, caution, ")
    (folder / "bridge.yaml").write_text(bridge)
    assert config.check(folder) == []


def test_an_unreadable_bridge_file_concerns_the_stations(tmp_path: Path) -> None:
    """Which level table is in force cannot be known from a bridge.yaml that cannot be read."""
    folder = _copy(tmp_path, "stations.yaml")
    (folder / "bridge.yaml").write_text("level_table: [generic")
    with pytest.raises(ConfigError, match=r"bridge.yaml:1:14 this '\[' is not closed"):
        config.load_stations(folder)


def test_own_profiles_stand_over_bundled(tmp_path: Path) -> None:
    """A profile in the folder replaces the bundled one of its name; a broken one is told, not silently passed over."""
    own = tmp_path / "device_profiles"
    shutil.copytree(Path(__file__).parent.parent / "device_profiles", own)
    problems: list[Problem] = []
    text = (own / "json_level.yaml").read_text()
    (own / "json_level.yaml").write_text(text.replace("model: level as JSON", "model: ours"))
    assert config.load_profiles(tmp_path, problems)["json_level"].model == "ours"
    assert problems == []
    (own / "json_level.yaml").write_text(text.replace("1.234 m", "1.3 m"))
    assert "json_level" not in config.load_profiles(tmp_path, problems)
    assert str(problems[0]) == (
        "device_profiles/json_level.yaml:13:5 example 'normal': water_level decoded 1.234 m, expected 1.300 m"
    )


# --- whatever stands in a file


def _value(name: str) -> object:
    return yamlfile.read(GOOD / name, name).value


FILES = ["stations.yaml", "bridge.yaml", "edge.yaml", "device_profiles/acme_us10.yaml"]
VALUES = {name: _value(name) for name in FILES}
PROFILES = config.load_profiles(GOOD, [])
ODD = st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats() | st.text(max_size=6)
ODD |= st.sampled_from(["1 m", "5s", "x", "60", [], {}, [1, 2], {"a": 1}, {"fault": 3}, ["1 m", "2 m", "3 m"], [["a"]]])


def _changed(value: object, data: st.DataObject) -> object:
    """The value with one part, anywhere in it, replaced, removed or added."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 5)):
        key = data.draw(st.sampled_from(sorted(value, key=str)))
        return {k: _changed(v, data) if k == key else v for k, v in value.items()}
    if isinstance(value, dict) and value:
        gone = data.draw(st.sampled_from(sorted(value, key=str)))
        rest = {k: v for k, v in value.items() if k != gone}
        return rest | {data.draw(st.text(max_size=5)): data.draw(ODD)} if data.draw(st.booleans()) else rest
    if isinstance(value, list) and value and data.draw(st.integers(0, 3)):
        i = data.draw(st.integers(0, len(value) - 1))
        return [*value[:i], _changed(value[i], data), *value[i + 1 :]]
    return data.draw(ODD)


@given(st.sampled_from(FILES), st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
def test_any_change_is_told_in_our_words(name: str, data: st.DataObject) -> None:
    """Whatever stands in a file, each mistake has a place in it and a sentence of ours; nothing is raised."""
    document = yamlfile.parse(json.dumps(_changed(VALUES[name], data), indent=1).encode(), name)
    if document.readable:
        if name == "stations.yaml":
            stationfile.stations(document, config.load_levels("jp-2026"))
        elif name == "bridge.yaml":
            processfile.bridge(document, GOOD, ["jp-2026", "generic"])
        elif name == "edge.yaml":
            processfile.edge(document, GOOD, PROFILES, PROFILES)
        else:
            profilefile.profile(document, "acme_us10")
    for problem in document.problems:
        assert problem.line >= 1
        assert problem.col >= 1
        said = re.sub("'[^']*'", "", problem.message)  # what stands in the file is quoted
        assert not any(word in said for word in ("Input should", "does not belong here", "None", "Value error"))
