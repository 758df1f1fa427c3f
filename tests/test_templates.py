"""Templates: an operator's own words, what they cannot take away, and what a mistake in them is told as."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import config, templatefile, templates
from gateway.bridge import notify, wording
from gateway.bridge.wording_en import fields as words_en
from gateway.bridge.wording_ja import fields as words_ja
from gateway.calling import Call
from gateway.errors import ConfigError
from gateway.settings import Recipient
from gateway.templates import DEFAULTS, WORDS, mistakes, parse
from tests import readme, world
from tests.test_recipientfile import folder_of
from tests.wording.situations import STATIONS, Situation

OWN = (
    "高松市 {place} {what}\n{place} {what}[（差 {difference}）]\n[{by}]\n観測 {time}[（{rank}）]\n河川課 087-000-0000\n"
)


def situation(what: str) -> Situation:
    (found,) = (x for x in STATIONS if x.what == what)
    return found


def test_an_operators_words_take_the_place_of_ours() -> None:
    """Subject and body are the template's; a part without a word to say, and a line of which nothing is left, go."""
    subject, text = wording.said(situation("danger, rising").facts, "ja", parse(OWN))
    assert subject == "【水位情報】高松市 春日橋 氾濫危険水位を超過"
    assert text.split("\n") == [
        "春日橋 氾濫危険水位を超過（差 +0.06 m）",
        "観測 11月25日(火) 01:00（警戒レベル4相当）",
        "河川課 087-000-0000",
        wording.DISCLAIMER_JA,
    ]


@given(st.text(st.characters(blacklist_characters="{}[]\n", blacklist_categories=("Cc", "Cs")), max_size=60))
def test_no_template_takes_away_what_must_be_said(words: str) -> None:
    """Whatever stands in it, doubt and a drill head subject and text, a drill ends both, and the closing is there."""
    template = parse(f"{words} {{place}}\n{words} {{place}} {{what}}")
    for what, head in (
        ("danger, unconfirmed", "【未確認】"),
        ("rejected by a person", "【訂正】"),
        ("a drill", "【訓練】"),
    ):
        subject, text = wording.said(situation(what).facts, "ja", template)
        assert text.startswith(head)
        assert wording.DISCLAIMER_JA in text.split("\n")[-1]
        assert head.strip("【】") in subject
        assert "\n" not in subject
        if what == "a drill":
            assert text.endswith(head)
            assert subject.startswith(head)
            assert subject.endswith(head)


def test_the_words_of_the_document_are_those_there_are() -> None:
    """ALARM.md lists every word with what it is; both languages say each, and ours use them without a mistake."""
    text = (readme.ROOT / "gateway" / "ALARM.md").read_text(encoding="utf-8")
    for name, what in WORDS.items():
        assert f"| `{name}` | {what} |" in text
    for x in STATIONS:
        assert words_ja(x.facts).keys() == words_en(x.facts).keys() == WORDS.keys()
    for template in DEFAULTS.values():
        assert mistakes(f"{template.subject}\n{template.body}") == []
    used = "".join(t.subject + t.body for t in DEFAULTS.values())
    assert {name for name in WORDS if f"{{{name}}}" not in used} == {"level", "river", "area"}


def test_each_recipient_reads_the_words_of_its_medium() -> None:
    """A template goes by the medium's name, else by its kind, else it is for all."""
    x = situation("danger, rising")
    own = {
        ("city", "ja"): parse("A {place}\n{place} {what}"),
        ("mail", "ja"): parse("B {place}\n{place} {what}"),
        ("default", "ja"): parse("C {place}\n{place} {what}"),
    }
    to = (Recipient("one", "mail", via="city"), Recipient("two", "mail"), Recipient("three", "webhook"))
    bridge = world.bridge(Path("unused"), recipients=to, templates=own)
    channel = x.station.channels["water_level"]
    calls = [Call(r.name, x.t, True) for r in to]
    rows = notify.owed(x.t, x.station, channel, x.state, x.facts.levels, bridge, x.t.at_ms, calls)
    said = {row.recipient: json.loads(row.body)["subject"] for row in rows}
    assert [said[r.name]["ja"] for r in to] == ["【水位情報】A 春日橋", "【水位情報】B 春日橋", "【水位情報】C 春日橋"]
    assert said["one"]["en"].startswith("[Water level] Kasuga Bridge: ")
    assert said[notify.ALERT_TOPIC]["ja"].startswith("【水位情報】春日橋 ")  # the world reads ours


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (
            "default.ja.txt",
            "{place} {rank} {time}\n{place} {wat}\n",
            [
                "templates/default.ja.txt:2:1 '{what}' is missing below the subject: what is it about?",
                "templates/default.ja.txt:2:9 there is no word 'wat'. Did you mean 'what'?",
            ],
        ),
        (
            "mial.ja.txt",
            OWN,
            ["templates/mial.ja.txt:1:1 there is no medium or recipient 'mial'. Did you mean 'mail'?"],
        ),
        (
            "mail.txt",
            OWN,
            ["templates/mail.txt:1:1 no template is named so. Write for example default.ja.txt or mail.en.txt"],
        ),
        (
            "default.en.txt",
            "{place} {rank}\n{place} {what} [{time}\n",
            ["templates/default.en.txt:2:16 '[' and ']' do not belong together"],
        ),
        (
            "default.ja.txt",
            "{place}\n{place} {what}\n\n1\n2\n{time} {rank}\n",
            [
                "templates/default.ja.txt:2:1 '{rank}' is missing in subject and first 3 lines: a phone shows no more",
                "templates/default.ja.txt:2:1 '{time}' is missing in subject and first 3 lines: a phone shows no more",
            ],
        ),
        (
            "default.en.txt",
            "\n{place} {what} {rank} {time}\n",
            ["templates/default.en.txt:1:1 the first line is the subject, and it is empty"],
        ),
        (
            "notices.ja.txt",
            "{place}\n{place} {what}\n",
            [
                "templates/notices.ja.txt:1:1 the words of conditions of the house are Suimon's own: no template "
                "changes them. Remove the file"
            ],
        ),
    ],
)
def test_mistake(file: str, text: str, expected: list[str], tmp_path: Path) -> None:
    """Told at its place with what would be right, before anything starts."""
    folder = folder_of(tmp_path, "  recipients:\n    desk: {medium: console}\n")
    (folder / "templates").mkdir()
    (folder / "templates" / file).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as e:
        config.load_bridge(folder)
    assert [str(p) for p in e.value.problems] == expected


def test_a_folder_of_templates(tmp_path: Path) -> None:
    """Also with Windows' line ends and byte order mark; the one that is written there is the one that is used."""
    folder = folder_of(tmp_path, "  recipients:\n    desk: {medium: console}\n")
    (folder / "templates").mkdir()
    (folder / "templates" / "default.ja.txt").write_bytes(b"\xef\xbb\xbf" + OWN.replace("\n", "\r\n").encode())
    (folder / "templates" / "desk.en.txt").write_text("{place}\n{place} {what} {rank} {time}\n")
    (folder / "templates" / ".swp").write_text("")
    bridge, _ = config.load_bridge(folder)
    assert bridge.templates == {
        ("default", "ja"): parse(OWN),
        ("desk", "en"): parse("{place}\n{place} {what} {rank} {time}"),
    }
    assert replace(bridge, templates={}).recipients == bridge.recipients
    assert templatefile.FOLDER == "templates"
    assert templates.LANGUAGES == ("ja", "en")
