"""`suimon edge join`: the device's side of enrolment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import process
from gateway.errors import ConfigError, Unavailable

if TYPE_CHECKING:
    from gateway.bundle import Bundle
    from gateway.edge.joining import Joined

EXIT_ILL = 1


def join(
    file: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What 'suimon device add' or 'replace' made.")],
    folder: Path = process.ConfigOption,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also where an identity is here already; its files are kept beside.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Do not delete the bundle afterwards.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not look for broker and sensors.")] = False,
) -> None:
    """Make this device the one that the bundle is for: write edge.yaml, its password and what else it needs, check all
    of it, and tell what is missing. The bundle is deleted then: it holds the password.

    Exit code 3 where edge.yaml is not complete yet, 1 where broker or sensors cannot be reached.
    """
    from gateway.clock import SystemClock
    from gateway.edge import joining

    now_ms = SystemClock().now_ms()
    with process.told():
        taken = _bundle(file)
        done = joining.join(taken, folder, now_ms, replace)
    for line in _said(taken, done, folder):
        typer.echo(line)
    if now_ms < taken.made_ms:
        typer.echo("this device's clock is behind: it says that the bundle is not yet made. Its expiry means nothing")
    if not keep:
        _delete(file)
    _look(folder, offline)


def _bundle(file: Path) -> Bundle:
    """Raises ConfigError, Unavailable."""
    from gateway import bundle

    try:
        if file.stat().st_size > bundle.MAX_BYTES:
            raise Unavailable(f"{file} is too large for a bundle")
        data = file.read_bytes()
    except OSError as e:
        raise Unavailable(f"{file} cannot be read ({(e.strerror or '').lower()})") from e
    return bundle.decode(data, file.name)


def _said(taken: Bundle, done: Joined, folder: Path) -> list[str]:
    name = taken.credentials.username
    lines = [
        f"this is {name} now: {folder} has {', '.join(done.written)}" if done.written else f"this is {name} already"
    ]
    if done.kept:
        lines.append(f"what was there before is kept: {', '.join(done.kept)}")
    if done.ours:
        lines.append("edge.yaml stays as it is here")
    if done.private:
        lines.append(
            "there is no group 'suimon' here, so only root can read the password. Install suimon.sysusers.conf "
            "(deploy/README.md), then join again with --keep, or chgrp it"
        )
    return lines


def _delete(file: Path) -> None:
    try:
        file.unlink()
        typer.echo(f"{file} is deleted; delete other copies of it too")
    except OSError as e:
        typer.echo(
            f"{file} cannot be deleted ({(e.strerror or '').lower()}): it holds the password. Delete it", err=True
        )


def _look(folder: Path, offline: bool) -> None:
    """What `suimon check` says of the folder, and where that is nothing and we may, `suimon doctor`."""
    from gateway import config
    from gateway.cli import doctor

    found = config.inspect(folder)
    if found.problems:
        typer.echo(str(ConfigError(found.problems)), err=True)
        typer.echo(f"The device has its identity; this is what is missing. Then: suimon check {folder}", err=True)
        raise typer.Exit(process.EXIT_CONFIG)
    typer.echo("the configuration has no problems. A running agent takes it at its next start:")
    typer.echo("  sudo systemctl restart suimon-edge")
    if offline:
        return
    ill = 0
    for finding in doctor.examine(folder):
        typer.echo(doctor.line(finding))
        ill += finding.state == "fail"
    if ill:
        typer.echo(f"{ill} of this fail{'s' * (ill == 1)}; 'suimon doctor --config {folder}' looks again", err=True)
        raise typer.Exit(EXIT_ILL)
