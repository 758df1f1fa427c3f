"""`suimon profile new`: asks what a datasheet says and writes the profile. Every answer can also be given as an option,
in the very words that stand in the file, so that scripts need not be asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.process import EXIT_CONFIG
from gateway.errors import ConfigError, Problem

if TYPE_CHECKING:
    from gateway.profiledraft import Draft

Answer = dict[str | int, Any]
Folder = Annotated[Path, typer.Option("--folder", help="Where the file goes.")]
Word = Annotated[str | None, typer.Option()]
Source = Annotated[str | None, typer.Option(help="The document with its number, or 'unverified'.")]
Encoding = Annotated[str | None, typer.Option(help="registers, binary, text, json or named.")]
Key = Annotated[list[str] | None, typer.Option("--key", help="A further key: 'frame: {start: FF, length: 4}'")]
One = Annotated[
    list[str] | None,
    typer.Option("--value", help="'water_level: {unit: mm, address: 2, type: int16, span: [0 m, 10 m]}'"),
]
Example = Annotated[
    list[str] | None,
    typer.Option("--example", help="'{name: normal, place: p. 12, registers: {2: [1234]}, expect: {…}}'"),
]
ENCODINGS = {
    "registers": "Modbus",
    "binary": "frames of bytes",
    "text": "lines of text, SDI-12, NMEA",
    "json": "JSON texts",
    "named": "numbers by name: Linux drivers, GPIO",
}


def new(
    vendor: Word = None,
    model: Word = None,
    id_: Annotated[str | None, typer.Option("--id", help="The file's name without .yaml.")] = None,
    source: Source = None,
    encoding: Encoding = None,
    key: Key = None,
    value: One = None,
    example: Example = None,
    folder: Folder = Path("device_profiles"),
) -> None:
    """Write a new profile: asks for whatever is not given as an option."""
    from gateway import editorschema, profiledraft

    try:
        draft = _answered(vendor, model, id_, source, encoding, key or [], value or [], example or [])
        text = profiledraft.text(draft)
    except ConfigError as e:
        _tell(e.problems)
        raise typer.Exit(EXIT_CONFIG) from e
    file = folder / f"{draft.id}.yaml"
    if file.exists():
        typer.echo(f"{file} is there already. Give another --id, or another --folder", err=True)
        raise typer.Exit(EXIT_CONFIG)
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    schema = folder / editorschema.FILE
    if not schema.exists():  # which the first line of the profile names
        schema.write_text(editorschema.text(), encoding="utf-8")
    print(f"{file} is written; 'suimon profile test {file}' runs its examples.")
    if "derived: true" in text:
        print("Some of them are computed: it is unverified until real ones stand in their place.")


def _answered(
    vendor: str | None,
    model: str | None,
    id_: str | None,
    source: str | None,
    encoding: str | None,
    keys: list[str],
    values: list[str],
    examples: list[str],
) -> Draft:
    """From the options; what is missing is asked. Raises ConfigError."""
    from gateway import profiledraft

    vendor = vendor or _ask("Who makes it (vendor)")
    model = model or _ask("As its maker calls it (model)")
    proposed = re.sub(r"[^a-z0-9]+", "_", f"{vendor} {model}".lower()).strip("_")
    id_ = id_ or (_ask("Name of the file, without .yaml", proposed) if not values else proposed)
    source = source or _ask("Document that the facts are from, with its number", "unverified")
    encoding = encoding or _chosen("How it says its numbers", ENCODINGS)
    more = _mappings(keys, "--key")
    stated = {str(name): one for name, one in _mappings(values, "--value").items()}
    given = tuple(profiledraft.parsed(x, "--example") for x in examples)
    if not all(isinstance(x, dict) for x in given):
        raise ConfigError([Problem("--example", 1, 1, "", "write it as in the file: '{name: normal, …}'")])
    draft = profiledraft.Draft(id_, vendor, model, source, encoding, more, stated, given)
    return draft if values else _asked(draft)


def _mappings(options: list[str], whose: str) -> Answer:
    """'key: value', as it stands in the file."""
    from gateway import profiledraft

    out: Answer = {}
    for option in options:
        found = profiledraft.parsed(option, whose)
        if not isinstance(found, dict):
            raise ConfigError([Problem(whose, 1, 1, "", f"'{option}' is no 'key: value'. Write it as in the file")])
        out |= found
    return out


# --- asking


def _asked(draft: Draft) -> Draft:
    """What belongs to the encoding, then the values and the examples, each until it is right."""
    if draft.encoding == "registers" and "function" not in draft.more:
        function = _chosen("Which registers", {"holding": "function 3", "input": "function 4"})
        draft = replace(draft, more={**draft.more, "function": function})
    if draft.encoding in ("binary", "text") and "frame" not in draft.more:
        draft = _right(lambda: replace(draft, more={**draft.more, "frame": dict(_frame(draft.encoding))}), "frame")
    if draft.encoding in ("registers", "binary", "text") and "asked" not in draft.more:
        draft = _right(lambda: replace(draft, more={**draft.more, **dict(_line(draft.encoding))}), "asked")
    name = _ask("Its first value: water_level, distance, rain, …")
    while name:
        draft = _right(lambda d=draft, n=name: replace(d, values={**d.values, n: dict(_value(d.encoding, n))}))  # type: ignore[misc]
        name = _ask("Next value (Enter: no more)", "")
    form = _FORMS[draft.encoding]
    while raw := _ask(f"An answer that the document shows, as {form} (Enter: no more)", ""):
        draft = _right(lambda d=draft, r=raw: replace(d, examples=[*d.examples, dict(_example(d, r))]))  # type: ignore[misc]
    return draft


def _right(ask: Callable[[], Draft], under: str = "") -> Draft:
    """Asks until nothing is wrong, below that key where one is named."""
    from gateway import profiledraft

    while True:
        draft = ask()
        wrong = profiledraft.problems(draft, under)
        if not wrong:
            return draft
        _tell(wrong)
        typer.echo("Once more:", err=True)


def _line(encoding: str) -> Iterator[tuple[str, Any]]:
    """How its serial line is set, and what it is sent."""
    baud = _ask("Baud of its serial line (Enter: it is on a network)", "")
    if not baud:
        return
    asked: Answer = {"baud": _number(baud), "format": _ask("Data bits, parity, stop bits", "8N1")}
    if encoding != "registers" and (send := _ask("What it is sent before a reading, as R\\n (Enter: nothing)", "")):
        asked["send"] = send.replace("\\r", "\r").replace("\\n", "\n")
    yield "asked", asked


def _frame(encoding: str) -> Iterator[tuple[str, Any]]:
    from gateway.encodings import frames

    text = encoding == "text"
    if start := _ask("It begins with (Enter: nothing in particular)", ""):
        yield "start", start
    ends = _ask(
        "It ends with, as \\r\\n (Enter: \\r\\n)" if text else "It ends with, in hex (Enter: by its length)", ""
    )
    if ends or text:
        yield "end", (ends or "\\r\\n").replace("\\r", "\r").replace("\\n", "\n") if text else ends
    elif not text:
        yield "length", _number(_ask("Its length in bytes"))
    if text and (separator := _ask("What parts its fields (Enter: nothing)", "")):
        yield "separator", separator
    if checksum := _ask(f"Checksum: {', '.join(frames.CHECKSUMS)} (Enter: none)", ""):
        yield "checksum", checksum


def _value(encoding: str, name: str) -> Iterator[tuple[str | int, Any]]:
    from gateway import units

    quantity = name
    if name not in units.QUANTITIES:
        quantity = _ask(f"What it measures: {', '.join(units.QUANTITIES)}")
        yield "quantity", quantity
    known = units.QUANTITIES.get(quantity)
    yield (
        "unit",
        _ask(f"Unit of its number: {', '.join(known.accepts)}" if known else "Unit", known.unit if known else None),
    )
    yield from _PLACES[encoding]()
    if (scale := _number(_ask("Size of one step, in that unit", "1"))) != 1:
        yield "scale", scale
    if low := _ask("The lowest that it can measure, with unit: 0 m (Enter: not stated)", ""):
        yield "span", [low, _ask("The highest, with unit")]
    if accuracy := _ask("Accuracy, with unit (Enter: not stated)", ""):
        yield "accuracy", accuracy
    if fault := _ask("What it gives for a fault, before scaling: -32768, '>4500' (Enter: none known)", ""):
        yield "faults", {_number(fault): _ask("Which fault that is", "sensor_error")}
    if source := _ask("Where this stands in the document: p. 12 (Enter: as the whole)", ""):
        yield "source", source


def _register() -> Iterator[tuple[str | int, Any]]:
    from gateway.encodings import registers

    yield "address", _number(_ask("Its first register, counted from 0 (40001 is 0)"))
    type_ = _ask(f"Type: {', '.join(registers.TYPES)}", "uint16")
    yield "type", type_
    if not type_.endswith("16"):
        yield "word_order", _ask("Word order: big (higher word first) or little", "big")


def _byte() -> Iterator[tuple[str | int, Any]]:
    from gateway.encodings import numbers

    yield "byte", _number(_ask("Its first byte, counted from 0 at the frame's start"))
    type_ = _ask(f"Type: {', '.join(numbers.TYPES)}", "uint16")
    yield "type", type_
    if not type_.endswith("8"):
        yield "byte_order", _ask("Byte order: big (higher byte first) or little", "big")


def _field() -> Iterator[tuple[str | int, Any]]:
    place = _ask("Which field, counted from 0; or the text it stands behind, as Dm=", "0")
    yield ("field", int(place)) if place.isdecimal() else ("key", place)
    if after := _ask("What must stand behind its number: a unit (Enter: nothing)", ""):
        yield "after", after


def _path() -> Iterator[tuple[str | int, Any]]:
    yield "path", _ask("Path to it: keys with dots, as level.value")


def _input() -> Iterator[tuple[str | int, Any]]:
    yield "input", _ask("Its name on the bus: a file of the driver, pulses, contact")


def _example(draft: Draft, raw: str) -> Iterator[tuple[str | int, Any]]:
    from gateway.errors import FaultCode
    from gateway.examplefile import MANDATORY, RAW

    yield "name", _ask(f"Its name: {', '.join(MANDATORY)} or another", "normal")
    if place := _ask("Where it stands: manual, p. 12 (Enter: computed by hand)", ""):
        yield "place", place
    told = raw.replace("\\r", "\r").replace("\\n", "\n") if draft.encoding == "text" else raw
    yield RAW[draft.encoding][0], _number(raw) if draft.encoding in ("registers", "named") else told
    expect: Answer = {}
    for name in draft.values:
        meant = _ask(f"What {name} is there, with unit; or a fault, as malformed")
        expect[name] = {"fault": meant} if meant in set(FaultCode) else meant
    yield "expect", expect


_FORMS = {
    "registers": "{0: [0, 17, 1234]}",
    "binary": "FF 07 A1 A7",
    "text": "R1234\\r",
    "json": '{"level": 123}',
    "named": "{in_temp_input: 21500}",
}
_PLACES: dict[str, Callable[[], Iterator[tuple[str | int, Any]]]] = {
    "registers": _register,
    "binary": _byte,
    "text": _field,
    "json": _path,
    "named": _input,
}


def _ask(question: str, default: str | None = None) -> str:
    answer: str = typer.prompt(question, default=default, show_default=bool(default))
    return answer.strip()


def _chosen(question: str, choices: dict[str, str]) -> str:
    words = ", ".join(f"{name} ({what})" for name, what in choices.items())
    while True:
        answer = _ask(f"{question}: {words}", next(iter(choices)))
        if answer in choices:
            return answer
        typer.echo(f"'{answer}' is none of them.", err=True)


def _number(text: str) -> Any:
    """As YAML would read it: 2, 0x1F, 0.1; text where it is no number."""
    from gateway import profiledraft

    try:
        return profiledraft.parsed(text, "")
    except ConfigError:
        return text


def _tell(problems: list[Problem]) -> None:
    for problem in problems:
        typer.echo(f"{problem.path}: {problem.message}" if problem.path else problem.message, err=True)
