"""`suimon station thresholds`: a table of thresholds is shown, then written, and nothing else of the file changes."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway import config
from gateway.cli.main import app

HEAD = "station,channel,level,value,unit,authority,basis,source,valid_from,valid_to\n"
STATIONS = """\
# The stations of the city.
version: 1
tenant: takamatsu

stations:
  kasuga:                     # on the left bank
    name: {ja: 春日橋, en: Kasuga}
    position: {latitude: 34.3301, longitude: 134.0703}
    datum: T.P.
    gauge_zero: 1.20 m
    device: kasuga-gw
    channels:
      water_level:
        interval: 10min
        thresholds:
          # as agreed in May
          caution: {value: 2.00 m, authority: 県, basis: 基準水位観測所, source: 水防計画 2025}  # low
          danger:             # block style
            value: 300 cm     # in cm
            authority: 県
            basis: 基準水位観測所
            source: 水防計画 2025
            valid_to: 2027-06-01
        grace: 5min
  shinkawa:
    name: 新川
    position: {latitude: 34.3401, longitude: 134.0803}
    datum: T.P.
    gauge_zero: 0.00 m
    device: shinkawa-gw
    channels:
      water_level: {interval: 10min}
      rain: {interval: 10min}
  minato:
    name: 港
    position: {latitude: 34.3501, longitude: 134.0503}
    datum: T.P.
    gauge_zero: 0.00 m
    device: minato-gw
    channels:
      water_level:
        interval: 10min   # every ten minutes
"""
SAME = "県,基準水位観測所,水防計画 2025"
NEW = "県,基準水位観測所,水防計画 2026"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stations.yaml").write_text(STATIONS, encoding="utf-8", newline="")
    return tmp_path


def run(folder: Path, rows: str | bytes, *more: str, answer: str = "y\n") -> Result:
    data = rows if isinstance(rows, bytes) else (HEAD + rows).encode()
    (folder / "new.csv").write_bytes(data)
    command = ["station", "thresholds", "import", str(folder / "new.csv"), "-c", str(folder), *more]
    return CliRunner().invoke(app, command, input=answer)


def text(folder: Path) -> str:
    return (folder / "stations.yaml").read_text(encoding="utf-8")


def diff(folder: Path) -> list[str]:
    """The lines that changed."""
    lines = difflib.unified_diff(STATIONS.splitlines(), text(folder).splitlines(), n=0, lineterm="")
    return [x for x in lines if x[0] in "+-" and not x.startswith(("+++", "---"))]


# (sentence, rows, options, lines that change)
CHANGES: list[tuple[str, str, tuple[str, ...], list[str]]] = [
    (
        "a value in a flow mapping, its comment kept",
        f"kasuga,water_level,caution,2.10,m,{SAME},,\n",
        (),
        [
            "-          caution: {value: 2.00 m, authority: 県, basis: 基準水位観測所, source: 水防計画 2025}  # low",
            "+          caution: {value: 2.10 m, authority: 県, basis: 基準水位観測所, source: 水防計画 2025}  # low",
        ],
    ),
    (
        "a value in a block, its comment kept",
        f"kasuga,water_level,danger,3.10,m,{SAME},,2027-06-01\n",
        (),
        ["-            value: 300 cm     # in cm", "+            value: 3.10 m     # in cm"],
    ),
    (
        "the same value in another unit changes nothing of it",
        f"kasuga,water_level,danger,3.00,m,{NEW},,2027/6/1\n",
        (),
        ["-            source: 水防計画 2025", "+            source: 水防計画 2026"],
    ),
    (
        "a day is added, and one taken away",
        f"kasuga,water_level,caution,2,m,{SAME},2026-06-01,\nkasuga,water_level,danger,3.0,m,{SAME},,\n",
        (),
        [
            "-          caution: {value: 2.00 m, authority: 県, basis: 基準水位観測所, source: 水防計画 2025}  # low",
            "+          caution: {value: 2.00 m, authority: 県, basis: 基準水位観測所, source: 水防計画 2025,"
            " valid_from: 2026-06-01}  # low",
            "-            valid_to: 2027-06-01",
        ],
    ),
    (
        "a new level stands after the others",
        f"kasuga,water_level,evacuation,2.50,m,{NEW},,\n",
        (),
        ["+          evacuation: {value: 2.50 m, authority: 県, basis: 基準水位観測所, source: 水防計画 2026}"],
    ),
    (
        "the first levels of a channel in one line",
        f"shinkawa,water_level,caution,1.00,m,{NEW},,\nshinkawa,water_level,danger,2.00,m,{NEW},,\n",
        (),
        [
            "-      water_level: {interval: 10min}",
            "+      water_level: {interval: 10min, thresholds: {caution: {value: 1.00 m, authority: 県, "
            "basis: 基準水位観測所, source: 水防計画 2026}, danger: {value: 2.00 m, authority: 県, "
            "basis: 基準水位観測所, source: 水防計画 2026}}}",
        ],
    ),
    (
        "the first level of a channel in a block, at the end of the file",
        f"minato,water_level,caution,1.00,m,{NEW},,\n",
        (),
        [
            "+        thresholds:",
            "+          caution: {value: 1.00 m, authority: 県, basis: 基準水位観測所, source: 水防計画 2026}",
        ],
    ),
    (
        "what the table does not name goes with --replace only",
        f"kasuga,water_level,caution,2.00,m,{SAME},,\n",
        ("--replace",),
        [
            "-          danger:             # block style",
            "-            value: 300 cm     # in cm",
            "-            authority: 県",
            "-            basis: 基準水位観測所",
            "-            source: 水防計画 2025",
            "-            valid_to: 2027-06-01",
        ],
    ),
]


@pytest.mark.parametrize(("rows", "more", "lines"), [x[1:] for x in CHANGES], ids=[x[0] for x in CHANGES])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_what_differs_is_written(
    folder: Path, rows: str, more: tuple[str, ...], lines: list[str], newline: str
) -> None:
    """Comments, order and everything beside stay; the file as it was is kept beside it."""
    (folder / "stations.yaml").write_bytes(STATIONS.replace("\n", newline).encode())
    done = run(folder, rows, *more)
    assert done.exit_code == 0, done.output
    assert diff(folder) == lines
    raw = (folder / "stations.yaml").read_bytes()
    assert raw.count(b"\r\n") == (raw.count(b"\n") if newline == "\r\n" else 0)
    (backup,) = folder.glob("stations.yaml.*.bak")
    assert backup.read_bytes() == STATIONS.replace("\n", newline).encode()
    assert config.check(folder) == []


def test_the_differences_are_shown(folder: Path) -> None:
    """Old, new and by how much, and what is as it was."""
    rows = f"kasuga,water_level,caution,1.85,m,{NEW},,\nkasuga,water_level,danger,3.00,m,{SAME},,2027-06-01\n"
    done = run(folder, rows, "--dry-run")
    assert done.exit_code == 0
    (line,) = [x for x in done.output.splitlines() if "caution" in x]
    shown = "changed kasuga water_level caution 2.00 1.85 -0.15 水防計画 2025 → 水防計画 2026"
    assert line.split() == shown.split()
    assert "1 differ, 1 as they are" in done.output
    assert text(folder) == STATIONS


def test_a_no_writes_nothing(folder: Path) -> None:
    """It asks before it writes."""
    done = run(folder, f"kasuga,water_level,caution,1.85,m,{SAME},,\n", answer="n\n")
    assert (done.exit_code, text(folder)) == (1, STATIONS)
    assert not list(folder.glob("*.bak"))


def test_what_is_as_it_was_asks_nothing(folder: Path) -> None:
    """A table that says what stands there is not written again."""
    done = run(folder, f"kasuga,water_level,caution,200,cm,{SAME},,\n", answer="")
    assert done.exit_code == 0
    assert "nothing differs" in done.output


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_tables_of_offices_are_read(folder: Path, encoding: str) -> None:
    """UTF-8 with a mark, Shift_JIS, full-width digits: read, and said."""
    rows = (HEAD + "kasuga,water_level,caution,２．１０,ｍ,県,基準水位観測所,水防計画 2025,,\n").encode(encoding)
    done = run(folder, rows)
    assert done.exit_code == 0, done.output
    assert "new.csv:2 value: '２．１０' is read as 2.10" in done.output
    assert "caution: {value: 2.10 m," in text(folder)


# (sentence, rows, what is told)
REFUSED = [
    (
        "an unknown station",
        f"kasug,water_level,caution,2,m,{SAME},,\n",
        "new.csv:2:1 station: 'kasug' is not in stations.yaml. Did you mean 'kasuga'?",
    ),
    (
        "an unknown channel",
        f"kasuga,level,caution,2,m,{SAME},,\n",
        "new.csv:2:1 channel: kasuga has no channel 'level' that takes thresholds. Did you mean 'water_level'?",
    ),
    (
        "an unknown level",
        f"kasuga,water_level,dangr,2,m,{SAME},,\n",
        "new.csv:2:1 level: unknown level 'dangr'. Did you mean 'danger'?",
    ),
    ("no unit", f"kasuga,water_level,caution,2,,{SAME},,\n", "new.csv:2:1 value: 2 has no unit. Did you mean '2 m'?"),
    (
        "no number",
        f"kasuga,water_level,caution,high,m,{SAME},,\n",
        "new.csv:2:1 value: 'high m' is not a number with a unit",
    ),
    (
        "no such authority",
        "kasuga,water_level,caution,2,m,市,市の目安,x,,\n",
        "new.csv:2:1 authority: '市' is not known",
    ),
    (
        "no source",
        "kasuga,water_level,caution,2,m,県,市の目安,,,\n",
        "new.csv:2:1 source: has no value. Write document and date",
    ),
    (
        "no day",
        f"kasuga,water_level,caution,2,m,{SAME},2026-13-01,\n",
        "new.csv:2:1 valid_from: '2026-13-01' is not a day. Write it like 2026-06-01",
    ),
    (
        "twice",
        f"kasuga,water_level,caution,2,m,{SAME},,\nkasuga,water_level,caution,3,m,{SAME},,\n",
        "new.csv:3:1 level: 'caution' of kasuga water_level stands twice",
    ),
    (
        "not rising",
        f"kasuga,water_level,caution,4,m,{SAME},,\n",
        "danger (rank 4) at 3.00 m is not above caution (rank 2) at 4.00 m. Values rise with the rank",
    ),
    ("nothing in it", "", "no threshold stands in it"),
]


@pytest.mark.parametrize(("rows", "told"), [x[1:] for x in REFUSED], ids=[x[0] for x in REFUSED])
def test_what_is_refused(folder: Path, rows: str, told: str) -> None:
    """A table with a mistake is told line by line, and nothing of it is used."""
    done = run(folder, rows)
    assert done.exit_code == 3
    assert told in done.stderr
    assert text(folder) == STATIONS


def test_another_reference_is_refused(folder: Path) -> None:
    """Gauge heights and elevations are never mixed, nor converted in silence."""
    rows = HEAD.strip() + ",reference\n" + f"kasuga,water_level,caution,3.20,m,{SAME},,,elevation\n"
    done = run(folder, rows.encode())
    assert done.exit_code == 3
    assert "elevation, and the observations of water_level are gauge_height. Nothing is converted" in done.stderr


def test_a_missing_column(folder: Path) -> None:
    """Whoever exports the table knows which columns are needed."""
    done = run(folder, b"station,channel,level,values,unit,authority,basis,source\n")
    assert done.exit_code == 3
    assert "the column 'value' is missing. Did you mean 'values'?" in done.stderr


def test_for_scripts(folder: Path) -> None:
    """`--json` shows the differences and writes only with `--yes`."""
    rows = f"kasuga,water_level,caution,1.85,m,{SAME},,\n"
    shown = json.loads(run(folder, rows, "--json").stdout)
    assert (shown["written"], text(folder)) == (False, STATIONS)
    (difference,) = shown["differences"]
    assert (difference["kind"], difference["by"], difference["new"]["value"]) == ("changed", -0.15, 1.85)
    assert json.loads(run(folder, rows, "--json", "--yes").stdout)["written"]
    assert "value: 1.85 m" in text(folder)


def test_a_form_that_is_not_edited_is_left_alone(folder: Path) -> None:
    """Two stations that share a section by an alias cannot differ: nothing is written."""
    shared = STATIONS.replace("water_level: {interval: 10min}", "water_level: &w {interval: 10min}").replace(
        "      water_level:\n        interval: 10min   # every ten minutes\n", "      water_level: *w\n"
    )
    (folder / "stations.yaml").write_text(shared, encoding="utf-8")
    done = run(folder, f"minato,water_level,caution,1.00,m,{NEW},,\n")
    assert done.exit_code == 4
    assert "nothing was written" in done.stderr
    assert text(folder) == shared


def test_the_list(folder: Path) -> None:
    """Every threshold with its name, who set it, and its days."""
    done = CliRunner().invoke(app, ["station", "thresholds", "list", "-c", str(folder)])
    assert done.exit_code == 0
    assert "氾濫危険水位" in done.output
    assert "to 2027-06-01" in done.output
    found = json.loads(CliRunner().invoke(app, ["station", "thresholds", "list", "--json", "-c", str(folder)]).stdout)
    assert [(t["level"], t["value"]) for t in found["thresholds"]] == [("caution", 2.0), ("danger", 3.0)]
    done = CliRunner().invoke(app, ["station", "thresholds", "list", "--station", "kasugaa", "-c", str(folder)])
    assert done.exit_code == 2
