"""`suimon profile`: sensor models. What is right is known by `profilefile`, what is shown by `profilefacts`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import profilenew
from gateway.cli.process import EXIT_CONFIG, ConfigOption
from gateway.errors import Problem

if TYPE_CHECKING:
    from gateway.profiles import Profile

EXIT_FAILED = 1  # an example does not decode to what it expects

profile_app = typer.Typer(help="Sensor models: check, test, show, list and write them.", no_args_is_help=True)

Files = Annotated[list[Path] | None, typer.Argument(help="Files or folders; else device_profiles/ in this folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@profile_app.callback()
def _profile() -> None:
    """Sensor models: check, test, show, list and write them."""


@profile_app.command("check")
def check(files: Files = None, as_json: Json = False) -> None:
    """Tell every mistake of profiles, each with its place and remedy; their examples are executed."""
    from gateway import profilefile, yamlfile

    problems: list[Problem] = []
    found: list[Profile] = []
    for file in _files(files):
        document = yamlfile.read(file, str(file))
        profile = profilefile.profile(document, file.stem) if document.readable else None
        problems += document.problems
        found += [profile] if profile else []
    if as_json:
        print(json.dumps({"problems": [asdict(p) for p in sorted(problems)]}, ensure_ascii=False))
    elif not problems:
        print(f"{_count(found)} in order, {sum(len(p.examples) for p in found)} examples executed.{_unverified(found)}")
    _end_with(problems, as_json)


@profile_app.command("test")
def run_examples(files: Files = None, as_json: Json = False, folder: Path = ConfigOption) -> None:
    """Run the examples of profiles (files, folders, names of models), and say what differs by how much. Without any:
    of every model that is known."""
    from gateway import config, examplefile, profilefile, yamlfile

    known = config.profile_files(folder)
    named = [known.get(str(x)) for x in files or ()]
    others = [x for x, found in zip(files or (), named, strict=True) if found is None]
    where = [x for x in named if x] + [(x, str(x)) for x in (_files(others) if others else ())]
    where = where if files else list(known.values())
    problems: list[Problem] = []
    failures: list[tuple[Profile, Problem]] = []
    failed: set[tuple[str, str]] = set()
    found: list[Profile] = []
    for file, name in where:
        document = yamlfile.read(file, name)
        profile = profilefile.compiled(document, file.stem) if document.readable else None
        problems += document.problems
        if profile is None:
            continue
        found.append(profile)
        for example, sentence in examplefile.failures(profile, by=True):
            path = f"example '{example.name}'"
            failures.append((profile, Problem(name, example.line, example.col, path, sentence)))
            failed.add((name, example.name))
    examples = sum(len(profile.examples) for profile in found)
    if as_json:
        told: dict[str, Any] = {"profiles": len(found), "examples": examples, "failed": len(failed)}
        told["failures"] = [{"profile": profile.id, **asdict(problem)} for profile, problem in failures]
        print(json.dumps(told | {"problems": [asdict(p) for p in problems]}, ensure_ascii=False))
    else:
        for _, problem in failures:
            print(problem)
        print(f"{_count(found)}, {examples} examples, {len(failed)} failed.")
    _end_with(problems, as_json)
    if failed:
        raise typer.Exit(EXIT_FAILED)


@profile_app.command("list")
def list_(as_json: Json = False, folder: Path = ConfigOption) -> None:
    """Every sensor model that is known: those that come with Suimon, and those of device_profiles/ in the folder."""
    from gateway import config, profilefacts

    problems: list[Problem] = []
    rows = [profilefacts.row(profile) for profile in config.load_profiles(folder, problems).values()]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
    else:
        for line in profilefacts.table([_HEADS, *(_in_words(row) for row in rows)]):
            print(line)
    _end_with(problems, as_json)


@profile_app.command("show")
def show(name: Annotated[str, typer.Argument(help="A model's name, or a file.")], folder: Path = ConfigOption) -> None:
    """Print what a profile says: values, ranges, where they stand, faults, sources, and what is not verified."""
    from gateway import profilefacts

    for line in profilefacts.shown(load(name, folder)):
        print(line)


profile_app.command("new")(profilenew.new)


@profile_app.command("schema")
def schema() -> None:
    """Print the JSON Schema of a profile, for editors (draft 7)."""
    from gateway import editorschema

    print(editorschema.text(), end="")


def load(name: str, folder: Path) -> Profile:
    """The sensor model of a file, or of that name; what is wrong with it ends the process."""
    from gateway import config, fields, profilefile, yamlfile

    known = config.profile_files(folder)
    if not name.endswith(".yaml") and name not in known:
        typer.echo(f"unknown profile '{name}'{fields.instead(name, known)}", err=True)
        raise typer.Exit(EXIT_CONFIG)
    file, called = (Path(name), name) if name.endswith(".yaml") else known[name]
    document = yamlfile.read(file, called)
    profile = profilefile.profile(document, file.stem) if document.readable else None
    _end_with(document.problems)
    assert profile is not None
    return profile


_HEADS = ("name", "vendor and model", "quantities", "read as", "bus", "examples", "verified")


def _in_words(row: dict[str, Any]) -> tuple[str, ...]:
    # A frame that no bus carries has no end of its own: it comes through a radio's server.
    buses = ", ".join(row["bus"]) or ("(bridge: radio)" if row["encoding"] == "binary" else "-")
    quantities = ", ".join(row["quantities"][:3]) + (f" and {n} more" if (n := len(row["quantities"]) - 3) > 0 else "")
    model = f"{row['vendor']} {row['model']}"
    verified = "yes" if row["verified"] else "UNVERIFIED"
    model = model if len(model) <= 48 else f"{model[:47]}…"
    return row["name"], model, quantities, row["encoding"], buses, str(row["examples"]), verified


def _files(given: Sequence[Path] | None) -> Iterator[Path]:
    """The files that are meant: a folder stands for its profiles."""
    here = Path("device_profiles")
    if not given and not here.is_dir():
        typer.echo("no folder device_profiles is here. Name files or folders of profiles", err=True)
        raise typer.Exit(EXIT_CONFIG)
    for path in given or [here]:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(path.glob("*.yaml"))
        if not inside:
            typer.echo(f"no profile (*.yaml) in {path}", err=True)
            raise typer.Exit(EXIT_CONFIG)
        yield from inside


def _count(found: Sequence[Profile]) -> str:
    return f"{len(found)} profile{'s' * (len(found) != 1)}"


def _unverified(found: Sequence[Profile]) -> str:
    names = [profile.id for profile in found if not profile.verified]
    return f" Unverified: {', '.join(names)}." if names else ""


def _end_with(problems: Sequence[Problem], as_json: bool = False) -> None:
    """Tells the problems, where there are any, and ends."""
    if not problems:
        return
    if not as_json:
        files = len({problem.file for problem in problems})
        for problem in sorted(problems):
            typer.echo(str(problem), err=True)
        plural = "s" * (len(problems) != 1)
        typer.echo(f"{len(problems)} problem{plural} in {files} file{'s' * (files != 1)}.", err=True)
    raise typer.Exit(EXIT_CONFIG)
