"""`suimon profile`: mistakes are told at their place, examples are run, facts are shown, for people and for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway import config, profilefacts
from gateway.cli.main import app
from gateway.errors import Problem

FOLDER = Path(__file__).parent.parent / "device_profiles"
PROBLEMS: list[Problem] = []
ALL = config.load_profiles(FOLDER.parent, PROBLEMS)
GAUGE = (FOLDER / "sim_river_gauge.yaml").read_text(encoding="utf-8")


def suimon(*words: str | Path, expect: int = 0, **more: str) -> Result:
    done = CliRunner().invoke(app, ["profile", *map(str, words)], **more)  # type: ignore[arg-type]
    assert done.exit_code == expect, done.output
    return done


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a profile of its own."""
    folder = tmp_path / "device_profiles"
    folder.mkdir()
    (folder / "acme.yaml").write_text(GAUGE.replace("id: sim_river_gauge", "id: acme"), encoding="utf-8")
    return folder


# --- check


def test_check_says_that_all_is_well(own: Path) -> None:
    """A profile in order: how many examples were executed."""
    assert suimon("check", own / "acme.yaml").stdout == "1 profile in order, 8 examples executed.\n"
    assert suimon("check", own).stdout == "1 profile in order, 8 examples executed.\n"
    assert json.loads(suimon("check", own, "--json").stdout) == {"problems": []}


def test_check_tells_every_mistake_at_once(own: Path) -> None:
    """All problems of all files, each with its place and remedy, and nothing on the standard output."""
    file = own / "acme.yaml"
    file.write_text(file.read_text().replace("unit: mV", "unit: mX").replace("type: int16", "type: int61"))
    (own / "other.yaml").write_text("version: 1\n")
    done = suimon("check", own, expect=3)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"{file}:12:")
    assert "unknown type 'int61'. Did you mean 'int64'?" in lines[0]
    assert "unknown unit 'mX' (battery_voltage accepts V, mV)" in lines[1]
    assert f"{own / 'other.yaml'}:1:1 'id' is missing. Add for example 'id: acme_us10'" in lines
    assert lines[-1].endswith(" problems in 2 files.")
    told = json.loads(suimon("check", own, "--json", expect=3).stdout)["problems"]
    assert len(told) == len(lines) - 1
    assert set(told[0]) == {"file", "line", "col", "path", "message"}


@pytest.mark.parametrize("words", [["check"], ["test"]])
def test_a_file_that_is_not_there(words: list[str], tmp_path: Path) -> None:
    """A wrong name is told, not passed over."""
    assert "no such file" in suimon(*words, tmp_path / "none.yaml", expect=3).stderr
    assert "no profile (*.yaml)" in suimon(*words, tmp_path, expect=3).stderr


def test_no_folder_of_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is named and nothing is there, it says what to name."""
    monkeypatch.chdir(tmp_path)
    assert "no folder device_profiles is here. Name" in suimon("check", expect=3).stderr


# --- test


def test_every_example_is_run() -> None:
    """Without files: of every model that is known."""
    told = json.loads(suimon("test", "--json").stdout)
    examples = sum(len(profile.examples) for profile in ALL.values())
    assert told == {"profiles": len(ALL), "examples": examples, "failed": 0, "failures": [], "problems": []}


def test_what_differs_by_how_much(own: Path) -> None:
    """A failed example: its place, both numbers and their difference; one that fails in two values counts once."""
    file = own / "acme.yaml"
    wrong = file.read_text().replace(
        "water_level: 1.234 m, battery_voltage: 12.610 V", "water_level: 1.236 m, battery_voltage: 12 V"
    )
    file.write_text(wrong)
    done = suimon("test", file, expect=1)
    assert done.stdout.splitlines() == [
        f"{file}:15:5 example 'normal': water_level decoded 1.234 m, expected 1.236 m (0.002 m too low)",
        f"{file}:15:5 example 'normal': battery_voltage decoded 12.61 V, expected 12.00 V (0.61 V too high)",
        "1 profile, 8 examples, 1 failed.",
    ]
    told = json.loads(suimon("test", file, "--json", expect=1).stdout)
    assert (told["examples"], told["failed"], len(told["failures"])) == (8, 1, 2)
    assert told["failures"][0]["profile"] == "acme"
    assert told["failures"][0]["line"] == 15


def test_a_model_is_tested_by_its_name(own: Path) -> None:
    """As `show` takes a name or a file."""
    told = json.loads(suimon("test", "keller_30x", own / "acme.yaml", "--json").stdout)
    assert (told["profiles"], told["examples"]) == (2, len(ALL["keller_30x"].examples) + 8)


def test_own_profiles_are_tested_too(own: Path) -> None:
    """Those of the folder stand beside those that come with Suimon."""
    assert json.loads(suimon("test", "--json", "--config", own.parent).stdout)["profiles"] == len(ALL) + 1


# --- list and show


def test_list_for_scripts() -> None:
    """Each model with what scripts choose by."""
    rows = {row["name"]: row for row in json.loads(suimon("list", "--json").stdout)}
    assert set(rows) == set(ALL)
    assert rows["keller_30x"] == {
        "name": "keller_30x",
        "vendor": "Keller",
        "model": ALL["keller_30x"].model,
        "quantities": ["water_level", "water_temperature"],
        "bus": profilefacts.row(ALL["keller_30x"])["bus"],
        "encoding": "registers",
        "examples": len(ALL["keller_30x"].examples),
        "verified": True,
    }
    assert "modbus_tcp" in rows["keller_30x"]["bus"]
    assert {name: row["verified"] for name, row in rows.items()} == {n: p.verified for n, p in ALL.items()}


def test_list_for_people() -> None:
    """An unverified profile says so."""
    lines = suimon("list").stdout.splitlines()
    assert {"decentlab_dl_mbx", "milesight_ws303"} <= {line.split()[0] for line in lines if "(bridge: radio)" in line}
    assert len(lines) == len(ALL) + 1
    marked = {line.split()[0] for line in lines if line.endswith("UNVERIFIED")}
    assert marked == {name for name, profile in ALL.items() if not profile.verified}


@pytest.mark.parametrize("name", ALL)
def test_show_says_all_of_a_profile(name: str) -> None:
    """Every value with its place and range, every fault, every source."""
    text, profile = suimon("show", name).stdout, ALL[name]
    for value in profile.values:
        assert profilefacts.place(value.at) in text
        assert value.source in text
        assert all(str(code) in text for code in value.faults.codes())
    assert all(example.place in text for example in profile.examples)
    assert ("UNVERIFIED" in text.splitlines()[0]) == (not profile.verified)


def test_show_says_which_examples_are_bytes_of_a_source() -> None:
    """What a place stands at, and beside it those of the mandatory ones that nobody took from anywhere."""
    lines = suimon("show", "decentlab_dl_mbx").stdout.splitlines()
    assert "  fault: dl-mbx-codec.yaml, example 2" in lines
    assert "  without a place, so by the facts above and not by bytes of a source: lowest, highest, malformed" in lines


def test_show_a_file(own: Path) -> None:
    """A file as well as a name; what is wrong with it is told instead."""
    lines = suimon("show", own / "acme.yaml").stdout.splitlines()
    assert lines[0] == "acme: Suimon simulated river gauge, verified"
    assert "water_level      water_level      m      -1 to 15  -         -           register 2, int16" in lines
    assert "  water_level: -32768 no_echo, 32767 sensor_error" in lines
    (own / "acme.yaml").write_text("version: 1\n")
    assert "'id' is missing" in suimon("show", own / "acme.yaml", expect=3).stderr
    assert suimon("show", "sim_river_gage", expect=3).stderr.startswith(
        "unknown profile 'sim_river_gage'. Did you mean 'sim_river_gauge'?"
    )


def test_schema() -> None:
    """What editors read."""
    assert json.loads(suimon("schema").stdout)["$schema"] == "http://json-schema.org/draft-07/schema#"
