"""The screen for accounts, tokens and the audit has words for whatever the house writes into the audit or refuses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from gateway.errors import LoginReason
from gateway.web import page
from gateway.web.acts import KINDS
from gateway.web.who import Via

WEB = page.STATIC.parent
# Refused by their form before anything else looks at them, or asked for by no form of the page.
UNSEEN = {"everybody is public without an account", "a token lasts at most 12 days"}


def source() -> str:
    return (page.STATIC / "words_accounts.js").read_text(encoding="utf-8")


def coded(name: str) -> list[str]:
    """The codes of a table there that have words in both languages."""
    table = source().partition(f"export const {name} = {{")[2].partition("\n};")[0]
    return re.findall(r"""^  '?([\w.]+)'?: \['[^']+', (?:'[^']+'|"[^"]+")\],$""", table, re.MULTILINE)


def calls(*files: Path) -> Iterator[tuple[str, list[ast.expr]]]:
    """(what is called, as it is written, and with what) of every call."""
    for path in files or sorted(WEB.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), node.args


def text(node: ast.expr) -> str:
    """A sentence; what is filled in is 12. Empty for anything else."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(x.value) if isinstance(x, ast.Constant) else "12" for x in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_every_deed_of_the_audit_has_words() -> None:
    """Each `what` that is written anywhere."""
    written = set(KINDS.values())
    for called, given in calls():
        if re.search(r"audit\.(add|note)$", called):
            written.add(text(given[-3]))
        if called == "asked":
            written.add(text(given[2]))
    written.discard("")
    assert {"login", "token.make", "accounts.restore", "letters.replay"} <= written
    assert set(coded("DEEDS")) == written


def test_every_outcome_has_words() -> None:
    """Fates of an act, and why somebody was not let in, in the order of the enumeration."""
    assert coded("OUTCOMES") == ["done", "refused", "asked", *(x.value for x in LoginReason)]


def test_every_refusal_that_is_counted_has_words() -> None:
    """Each code of a 401, 403 or 429, and of what belongs to another tenant; a wrong password is an outcome."""
    codes = {"foreign_tenant"}
    for called, given in calls():
        if called == "Problem" and isinstance(given[0], ast.Constant) and given[0].value in {401, 403, 429}:
            codes.add(text(given[1]))
    assert set(coded("REFUSED")) == codes - {"wrong_login"}


def test_every_way_of_being_known_has_words() -> None:
    """Of the page, and the command line."""
    assert set(coded("VIAS")) == {*get_args(Via), "cli"}


def test_what_the_server_says_against_it_is_said_in_japanese() -> None:
    """Each sentence with which an account, a password or a token is declined fits one entry; nothing fits none."""
    table = source().partition("const SAID = [")[2].partition("\n];")[0]
    forms = [re.compile(x) for x in re.findall(r"^  \[/(.+?)/, '", table, re.MULTILINE)]
    assert len(forms) == table.count("\n  [")
    sentences = {"a password has at least 12 characters"}
    for called, given in calls(WEB / "members.py", WEB / "tokens.py", WEB / "staff.py", WEB / "login.py"):
        if called == "Declined":
            sentences.add(text(given[0]))
        if called == "Problem" and isinstance(given[0], ast.Constant) and given[0].value in {403, 409}:
            sentences.add(text(given[2]))
    passwords = ast.parse((WEB / "passwords.py").read_text(encoding="utf-8"))
    (mistake,) = (x for x in passwords.body if isinstance(x, ast.FunctionDef) and x.name == "mistake")
    sentences |= {text(x.value) for x in ast.walk(mistake) if isinstance(x, ast.Return) and x.value is not None}
    sentences -= {"", *UNSEEN}
    assert len(sentences) > 12
    for sentence in sentences:
        assert len([x for x in forms if x.search(sentence)]) == 1, sentence
    for form in forms:
        assert any(form.search(x) for x in sentences), form.pattern
