"""`templates/` in the configuration's folder -> an operator's own words: `mail.ja.txt`, `default.en.txt`.

A file is named after a medium of bridge.yaml, a recipient, a kind of medium, or `default`, and a language.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway import settings
from gateway.errors import Problem
from gateway.fields import did_you_mean, instead
from gateway.recipientfile import KINDS
from gateway.templates import LANGUAGES, WORDS, Language, Template, mistakes, parse

FOLDER = "templates"
DEFAULT = "default"
OURS = {  # what no template is for, by the names under which one may look for it
    **dict.fromkeys(("cause", "causes"), "common causes of silence"),
    **dict.fromkeys(("notice", "notices"), "conditions of the house"),
    **dict.fromkeys(("test", "tests"), "tests of the call"),
    **dict.fromkeys(("topic", "mqtt", "cap"), "the alert topic and CAP, which the world reads,"),
}


def read(folder: Path, bridge: settings.Bridge, problems: list[Problem]) -> dict[tuple[str, Language], Template]:
    """Those of a folder by whom they are for and language; what is wrong is added to `problems`."""
    names = [DEFAULT, *KINDS, *bridge.media, *(r.name for r in bridge.recipients)]
    found = {}
    for file in sorted((folder / FOLDER).iterdir()) if (folder / FOLDER).is_dir() else []:
        if file.name.startswith((".", "#")) or file.name.endswith("~"):  # what an editor leaves behind
            continue
        name = f"{FOLDER}/{file.name}"
        whose, language, why = _named(file.name, names)
        if language is None:
            problems.append(Problem(name, 1, 1, "", why))
            continue
        text = _text(file, name, problems)
        wrong = list(_problems(name, text)) if text is not None else []
        problems += wrong
        if text is not None and not wrong:
            found[whose, language] = parse(text)
    return found


def _named(file: str, names: list[str]) -> tuple[str, Language | None, str]:
    stem, dot, suffix = file.rpartition(".")
    whose, _, tongue = stem.rpartition(".")
    language = next((x for x in LANGUAGES if x == tongue), None)
    if not dot or suffix != "txt" or language is None:
        return "", None, "no template is named so. Write for example default.ja.txt or mail.en.txt"
    if whose in OURS:
        return "", None, f"the words of {OURS[whose]} are Suimon's own: no template changes them. Remove the file"
    if whose not in names:
        return "", None, f"there is no medium or recipient '{whose}'{instead(whose, sorted(set(names)))}"
    return whose, language, ""


def _text(file: Path, name: str, problems: list[Problem]) -> str | None:
    try:
        return file.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except OSError as e:
        problems.append(Problem(name, 1, 1, "", f"cannot be read ({(e.strerror or '').lower()})"))
    except UnicodeDecodeError:
        problems.append(Problem(name, 1, 1, "", "this is not text in UTF-8"))
    return None


def _problems(name: str, text: str) -> Iterator[Problem]:
    for m in mistakes(text):
        hint = did_you_mean(m.word, WORDS) or f" (one of {', '.join(WORDS)})" if m.word else ""
        yield Problem(name, m.line, m.column, "", m.what + hint)
