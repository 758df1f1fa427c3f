"""people.yaml and members.csv: the document's example, who is on duty when, and what is told of mistakes."""

from __future__ import annotations

import re
import shutil
from datetime import date, datetime
from pathlib import Path

import pytest

from gateway import config
from gateway.errors import ConfigError
from gateway.people import JST, Member, People

ROOT = Path(__file__).parent.parent
BRIDGE = """version: 1
broker: {host: mqtt.example}
notify:
  media:
    mail: {medium: webhook, url: "https://mail.example/send"}
    voice: {medium: webhook, url: "https://dialler.example/call", timeout: 5s}
  recipients:
    desk: {medium: console}
    siren: {medium: console, min_rank: 4}
"""


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=JST).timestamp() * 1000)


def blocks() -> dict[str, str]:
    """The example of the document: its YAML and its CSV."""
    text = (ROOT / "gateway" / "ALARM.md").read_text(encoding="utf-8")
    section = text[text.index("\n## People\n") : text.index("\n## Media\n")]
    return dict(re.findall(r"```(yaml|csv)\n(.*?)```", section, re.DOTALL))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "tests/configs/people-with-mistakes/stations.yaml", tmp_path)
    (tmp_path / "bridge.yaml").write_text(BRIDGE)
    (tmp_path / "people.yaml").write_text(blocks()["yaml"])
    (tmp_path / "members.csv").write_text(blocks()["csv"])
    return tmp_path


def people(folder: Path) -> People:
    found = config.load_bridge(folder)[0].people
    assert found is not None
    return found


def names(members: tuple[Member, ...]) -> list[str]:
    return [m.name for m in members]


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_the_documents_example_is_right(folder: Path) -> None:
    """What the document shows is what the loader takes, and somebody is on duty at all times."""
    assert config.check(folder) == []
    bridge, _ = config.load_bridge(folder)
    assert [r.name for r in bridge.recipients][:3] == ["desk", "siren", "mail:yamada@city.example"]
    voice = next(r for r in bridge.recipients if r.name == "voice:+81878390003")
    assert (voice.to, voice.medium, voice.url) == ("+81878390003", "webhook", "https://dialler.example/call")
    assert (voice.timeout_s, voice.notices) == (5.0, False)
    assert people(folder).order(people(folder).plans[2])[-1] == "director"


# Who of the crisis management is called: (moment, round, names)
DUTY = [
    ("2026-09-16T10:00", 0, ["山田 太郎"]),
    ("2026-09-16T20:00", 0, ["田中 花子"]),
    ("2026-09-16T20:00", 1, ["佐藤 次郎"]),
    ("2026-09-16T20:00", 2, ["田中 花子"]),
    ("2026-09-19T10:00", 0, ["田中 花子"]),  # a Saturday
    ("2026-09-22T10:00", 0, ["田中 花子"]),  # 国民の休日 between two holidays
    ("2026-11-03T10:00", 0, ["田中 花子"]),  # 文化の日
    ("2026-12-29T10:00", 0, ["田中 花子"]),  # 年末年始, every year
    ("2028-01-03T10:00", 0, ["田中 花子"]),
    ("2026-12-28T10:00", 0, ["山田 太郎"]),
]


@pytest.mark.parametrize(("moment", "round_", "wanted"), DUTY)
def test_who_is_on_duty(folder: Path, moment: str, round_: int, wanted: list[str]) -> None:
    """Working days, days off, holidays, the days around New Year, nights; those of the next order in the next round."""
    assert names(people(folder).reach("crisis", at(moment), round_)) == wanted


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_spreadsheets_file(folder: Path, encoding: str) -> None:
    """CP932 or UTF-8 with or without mark, Japanese columns in any order, 2026/4/1 as a date, Windows' line ends."""
    rows = ["氏名,役割,連絡先,開始日,曜日", "山田 太郎,duty,desk,2026/4/1,平日・夜間", "佐藤,duty,desk,,休日", ",,,,"]
    (folder / "members.csv").write_bytes("\r\n".join(rows).encode(encoding))
    (folder / "people.yaml").write_text(
        "version: 1\nmembers: members.csv\nroles: {duty: {name: 当直}}\nplans: [{rank: 2, call: [duty]}]\n"
    )
    found = people(folder).members
    assert names(found) == ["山田 太郎", "佐藤"]
    assert found[0].first == date(2026, 4, 1)
    assert sorted(found[0].parts) == ["night", "weekday"]


def test_the_first_moment_without_anybody(folder: Path) -> None:
    """A check fails with the first moment at which a role that is called has nobody; a bridge starts all the same."""
    change(folder / "members.csv", "corps,1,消防団本部,voice:+81878390003,,,常時", "corps,1,本部,desk,,2026-10-04,常時")
    (problem,) = config.inspect(folder, at("2026-09-16T10:00")).problems
    assert str(problem) == (
        "people.yaml:9:3 roles.corps: nobody can be reached from 2026-10-05 (月) 00:00, night. Add a member or "
        "deputies for that time"
    )
    assert config.inspect(folder, at("2026-09-01T10:00")).problems == []
    assert config.load_bridge(folder)[0].people is not None


def test_people_who_were_read_again_are_the_same_people(folder: Path) -> None:
    """A reload that changes nothing says so; a day on which the office is closed is a change."""
    before = people(folder)
    assert people(folder) == before
    assert repr(people(folder)) == repr(before)
    change(folder / "people.yaml", "12-29..01-03", "12-28..01-03")
    assert people(folder) != before


def test_a_mistake_in_a_medium_is_told_once(folder: Path) -> None:
    """Members who use a medium that is described with a mistake have made none: one problem, not one for each."""
    change(folder / "bridge.yaml", "timeout: 5s", "timeout: 5")
    (problem,) = config.inspect(folder, at("2026-09-16T10:00")).problems
    assert "notify.media.voice.timeout: 5 has no unit" in str(problem)


# (sentence, file, what is replaced, by what, the problem)
MISTAKES = [
    (
        "no plan for rank 2",
        "people.yaml",
        "  - {rank: 2, call: [duty]}\n",
        "",
        "no plan says whom rank 2 rings at kasuga-bridge. Add for example '- {rank: 2, call: [duty]}'",
    ),
    (
        "a role that nobody holds",
        "members.csv",
        "corps,1",
        "mayor,1",
        "a plan needs this role, and nobody holds it. Add a member",
    ),
    (
        "members who are not there",
        "people.yaml",
        "members: members.csv",
        "members: staff.csv",
        "cannot be read (no such file or directory). 'members' in people.yaml names it",
    ),
    ("a slash in an address", "members.csv", "mail:mayor@", "mail:mayor/", "it holds a slash or a control character"),
    ("a column that is none", "members.csv", "order,", "ordre,", "unknown column 'ordre'. Did you mean 'order'?"),
    ("a quote that does not end", "members.csv", "当直,desk", '"当直,desk', "this line is no CSV"),
    ("no rounds", "people.yaml", "rounds: 4", "rounds: 0", "0 is below 1"),
    ("a day that is none", "people.yaml", "12-29..01-03", "12-29..01-33", "is no day or span of days"),
]


@pytest.mark.parametrize(("file", "old", "new", "wanted"), [x[1:] for x in MISTAKES], ids=[x[0] for x in MISTAKES])
def test_mistakes(folder: Path, file: str, old: str, new: str, wanted: str) -> None:
    """Each is told with a remedy, and a bridge does not start with it."""
    change(folder / file, old, new)
    problems = config.inspect(folder, at("2026-09-16T10:00")).problems
    assert any(wanted in str(p) for p in problems), problems
    with pytest.raises(ConfigError):
        config.load_bridge(folder)


def test_a_file_in_no_known_encoding(folder: Path) -> None:
    """Neither UTF-8 nor CP932: said so, with what to do."""
    (folder / "members.csv").write_bytes(b"role,name,addresses\nduty,\x81,desk\n")
    (problem,) = config.check(folder)
    assert "Save it as 'CSV UTF-8'" in problem.message


def test_without_people_nothing_changes(folder: Path) -> None:
    """Without people.yaml a bridge has its recipients, and nobody is called by a plan."""
    (folder / "people.yaml").unlink()
    bridge, _ = config.load_bridge(folder)
    assert (bridge.people, [r.name for r in bridge.recipients]) == (None, ["desk", "siren"])
