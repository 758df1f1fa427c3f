"""What is not done, and why: every refusal has a code and facts, and the page has words for each."""

from __future__ import annotations

import ast
import json
import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway import storefile
from gateway.errors import ActCode
from gateway.web import page
from tests import refusals
from tests.test_cli_journal import MINUTE, STATION, T0, House
from tests.webschema import Bridge, risen
from tests.website import client, site

TEXT = (page.STATIC / "refusals.js").read_text(encoding="utf-8")
TABLE = TEXT.partition("export const ACTS = {")[2].partition("\n};")[0]
ROWS = re.findall(r"""^  (\w+): \['([^']+)', (['"])(.+)\3\],$""", TABLE, re.MULTILINE)
WORDS = {code: (ja, en) for code, ja, _, en in ROWS}
# What the page says of a fact under another name.
RENAMED = {"station": "place", "episode": "place"}


def test_every_refusal_names_its_code() -> None:
    """In the source: none is a sentence alone."""
    assert len(refusals.raised()) > 40
    for place, call in refusals.raised():
        assert refusals.code_of(call) is not None, f"{place}: {ast.unparse(call)}"


def test_no_code_is_for_nothing() -> None:
    """Each stands for something that is refused somewhere."""
    assert refusals.given().keys() == {x.value for x in ActCode}


def test_every_code_has_words_in_both_languages() -> None:
    """In the order of the enumeration, and only with facts that the bridge always gives."""
    assert list(WORDS) == [x.value for x in ActCode]
    for code, sentences in WORDS.items():
        facts = refusals.given()[code]
        known = facts | {RENAMED[x] for x in facts if x in RENAMED}
        for sentence in sentences:
            assert set(re.findall(r"\{(\w+)\}", sentence)) <= known, f"{code}: {sentence}"
        assert "--" not in "".join(sentences)


def test_remedies_name_what_stands_on_the_page() -> None:
    """What is in brackets is a key of the page's words, the same in both languages."""
    for language in ("ja", "en"):
        book = (page.STATIC / f"words_{language}.js").read_text(encoding="utf-8")
        for code, sentences in WORDS.items():
            for key in re.findall(r"\[(\w+)\]", "".join(sentences)):
                assert f"  {key}: " in book, f"{code}: {key}"
    for code, (ja, en) in WORDS.items():
        assert set(re.findall(r"\[(\w+)\]", ja)) == set(re.findall(r"\[(\w+)\]", en)), code


OTHER = "koto-bridge"
DANGER = {"ja": "氾濫危険水位", "en": "flood danger level"}
HIGH = {"station": STATION, "level": DANGER, "claimed": False, "value": 3.4, "unit": "m"}
CASES: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("alert.dance", {}, "unknown_act", {"kind": "alert.dance"}),
    ("alert.close", {"episode": STATION, "basis": "rumour"}, "unreadable", {}),
    ("alert.acknowledge", {"episode": OTHER}, "no_episode", {"episode": OTHER}),
    ("alert.acknowledge", {"test": "t", "recipient": "none"}, "no_recipient", {"name": "none"}),
    ("alert.confirm", {"episode": STATION}, "no_basis", {}),
    ("alert.close", {"episode": STATION, "basis": "camera"}, "still_high", HIGH),
    ("maintenance.begin", {"station": STATION, "for_s": 60}, "stands_high", {"station": STATION, "level": DANGER}),
    ("alert.mute", {"station": "nowhere", "for_s": 60}, "no_station", {"station": "nowhere"}),
    ("alert.mute", {"station": OTHER, "for_s": 90_000}, "bad_span", {"hours": 25.0, "most": 12, "kind": "mute"}),
    ("drill.begin", {"station": OTHER, "rank": 2, "for_s": 0}, "bad_span", {"hours": 0, "most": 12, "kind": "drill"}),
    ("drill.begin", {"station": OTHER, "rank": 1}, "bad_rank", {"rank": 1}),
    ("alert.test", {"recipients": ["none"]}, "no_recipient", {"name": "none"}),
    ("journal.add", {"kind": "call", "text": " "}, "no_text", {}),
    ("journal.add", {"kind": "call", "text": "x" * 4001}, "long_text", {"n": 4001, "most": 4000}),
    ("journal.add", {"kind": "call", "text": "\a"}, "control_characters", {}),
    ("journal.add", {"kind": "call", "text": "x", "corrects": 99}, "no_row", {"row": 99}),
    ("journal.add", {"kind": "call", "text": "x", "at_ms": T0 + 200 * MINUTE}, "future_entry",
     {"at": T0 + 200 * MINUTE, "now": T0 + 121 * MINUTE}),
    ("journal.add", {"kind": "call", "text": "x", "episode": STATION, "station": OTHER}, "other_station",
     {"station": OTHER, "other": STATION}),
    ("cap.release", {"episode": STATION, "order": 1, "by": " ", "response": "Shelter", "text": "x"}, "not_named", {}),
    ("cap.release", {"episode": STATION, "order": 1, "by": "a", "response": "Shelter", "text": "x"}, "no_order",
     {"row": 1}),
    ("reload", {}, "not_running", {}),
    ("remote", {"tenant": "a", "device": "b", "command": {"id": "1", "command": "sample", "expires_ms": 1}},
     "not_running", {}),
    ("refill", {"since_ms": 0}, "no_influx", {}),
    ("letters.replay", {"choice": {}, "configuration": "other"}, "other_stations", {}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "said", "code", "facts"), CASES, ids=[f"{c} {k}" for k, _, c, _ in CASES])
def test_what_the_answer_carries(
    tmp_path: Path, kind: str, said: dict[str, Any], code: str, facts: dict[str, Any]
) -> None:
    """The English sentence of the command line, the code, and all facts that the words of it may need."""
    with House(tmp_path) as house:
        risen(house)
        house.reads(120, 3.4)
        before = len(house.rows())
        answer = house.asks(121, kind, **said)
        assert (answer["state"], answer["code"]) == ("refused", code), answer
        assert answer["facts"] | facts == answer["facts"]
        assert refusals.given()[code] <= answer["facts"].keys()
        assert len(answer["reason"]) > 10
        assert len(house.rows()) == before


def test_what_is_closed_or_a_drill(tmp_path: Path) -> None:
    """A drill is ended and not judged; of what is over nobody says any more that it was false."""
    with House(tmp_path) as house:
        risen(house)
        for n in range(2):
            house.reads(122 + n, 3.4)
        name = house.asks(125, "alert.close", episode=STATION, basis="camera", force=True, note="a")["episode"]
        told = {
            "episode_closed": house.asks(126, "alert.acknowledge", episode=name),
            "not_rejected": house.asks(126, "alert.reject", episode=name, basis="phone"),
            "nothing_claimed": house.asks(126, "alert.confirm", episode=name, basis="phone"),
        }
        drill = house.asks(127, "drill.begin", station=STATION, rank=4)["episode"]
        told["drill_not_judged"] = house.asks(128, "alert.reject", episode=drill, basis="phone")
    assert {code: (x["code"], x["facts"]) for code, x in told.items()} == {x: (x, {"station": STATION}) for x in told}


def test_the_log_has_no_value_of_a_refusal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What data show stands in the answer alone: the log leaves the house."""
    with House(tmp_path) as house, caplog.at_level(logging.INFO):
        risen(house)
        house.reads(120, 3.41)
        answer = house.asks(121, "alert.close", episode=STATION, basis="camera")
        house.asks(121, "alert.mute", station="nowhere", for_s=60)
    assert "3.41" in answer["reason"]
    assert "still_high" in caplog.text
    assert "3.41" not in caplog.text
    assert "there is no station 'nowhere'" in caplog.text


def test_the_interface_passes_it_on(tmp_path: Path) -> None:
    """One act: a problem with code and facts beside the sentence; several: each answer has them."""
    bridge = Bridge(tmp_path)
    try:
        of = site(House(tmp_path), 121)
        to = client(of, "operator")
        (open_,) = (e.id for e in of.boards.board().episodes)
        acts = [{"kind": "close", "tenant": "takamatsu", "episode": open_, "basis": "camera"}]
        acts.append({"kind": "mute", "tenant": "takamatsu", "station": "nowhere", "for_s": 60})
        high, nowhere = (to.post("/api/v1/acts", json=x) for x in acts)
        body = {"tenant": "takamatsu", "episodes": [open_, "none"]}
        together = to.post("/api/v1/acts/acknowledge", json=body).json()["acts"]
    finally:
        bridge.stop()
    assert (high.status_code, high.json()["code"], high.json()["refusal"]["code"]) == (409, "refused", "still_high")
    assert high.json()["refusal"]["facts"]["level"] == DANGER
    assert nowhere.json()["refusal"] == {"code": "no_station", "facts": {"station": "nowhere"}}
    assert [x["answer"]["code"] for x in together] == ["grave", "no_episode"]


def test_the_answer_of_an_earlier_bridge(tmp_path: Path) -> None:
    """A sentence alone is passed on as it is; a request that is gone has its own code."""
    with House(tmp_path) as house:
        asked = json.dumps({"tenant": "takamatsu"})
        number = storefile.ask(house.bridge.store, "alert.close", asked, "a", T0)
        with closing(sqlite3.connect(house.bridge.store)) as db, db:
            db.execute("UPDATE requests SET state = 'refused', answer = '{\"reason\": \"why not\"}'")
        fate = client(site(house, 1), "operator").get(f"/api/v1/acts/{number}").json()
        gone = storefile.answer(house.bridge.store, 99)
    assert fate == {"request": number, "state": "refused", "answer": {"reason": "why not"}}
    assert (gone[0], json.loads(gone[1] or "")["code"]) == ("refused", "forgotten")
