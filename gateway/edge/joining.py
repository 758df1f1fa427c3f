"""A device takes its identity from a bundle: profiles, the broker's certificate, its password, edge.yaml.

In this order, each whole: edge.yaml, by which the agent starts, comes last, so that one who is interrupted leaves a
device that does not start yet, and the same command again finishes it.
"""

from __future__ import annotations

import grp
import os
from dataclasses import dataclass
from pathlib import Path

from gateway import bundle, yamlfile
from gateway.brokerfiles import user_name
from gateway.bundle import CA, EDGE, SECRET, Bundle
from gateway.errors import ConfigError, Problem, Unavailable
from gateway.wholefile import FILES, Files
from gateway.yamlfile import Document

PROFILES = "device_profiles"
GROUP = "suimon"  # of the agent (deploy/systemd/suimon.sysusers.conf)


@dataclass(frozen=True, slots=True)
class Joined:
    """`written`: the names of files, in order; `kept`: where the former ones are. `ours`: edge.yaml is one that was
    here already. `private`: the agent's group does not exist, so that only this user can read the password."""

    written: tuple[str, ...]
    kept: tuple[str, ...] = ()
    ours: bool = False
    private: bool = False


def join(taken: Bundle, folder: Path, now_ms: int, replace: bool, files: Files = FILES, group: str = GROUP) -> Joined:
    """Write what the bundle holds into the folder. What differs from it there is touched only with `replace`, and kept
    beside. Raises ConfigError, Unavailable; then nothing was written, or the same again goes on."""
    if taken.expires_ms is not None and now_ms > taken.expires_ms:
        raise Unavailable(
            f"this bundle of {_name(taken)} ran out. If this device's clock is right, have a new one made: "
            f"suimon device replace {_name(taken)}"
        )
    edge = _of_the_bundle(taken)
    if folder.exists() and not folder.is_dir():
        raise Unavailable(f"{folder} is no folder. Name the folder of edge.yaml with --config")
    former = yamlfile.read(folder / EDGE, EDGE) if (folder / EDGE).exists() else None
    same_secret = _content(folder / SECRET) == _secret(taken)
    _refuse_another(taken, folder, former, same_secret, replace)
    ours = former is not None and (same_secret or not taken.complete) and _whose(former) == _name(taken)
    if ours and former is not None:
        _still_fits(taken, former, folder)
    elif replace and former is not None and _whose(former) != _name(taken):
        _no_spool_of_another(edge, former, folder)
    return _write(taken, folder, ours, files, _group(group))


def _write(taken: Bundle, folder: Path, ours: bool, files: Files, gid: int | None) -> Joined:
    root = os.geteuid() == 0
    shared = gid is not None and root
    wanted: list[tuple[str, bytes, int]] = [
        *((f"{PROFILES}/{name}.yaml", text.encode(), 0o644) for name, text in sorted(taken.profiles.items())),
        *([(CA, taken.ca.encode(), 0o644)] if taken.ca is not None else []),
        (SECRET, _secret(taken), 0o640 if shared else 0o600),
        *([] if ours else [(EDGE, taken.edge.encode(), 0o644)]),
    ]
    written, kept = [], []
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if taken.profiles:
            (folder / PROFILES).mkdir(mode=0o755, exist_ok=True)
        for name, data, mode in wanted:
            path = folder / name
            there = _content(path)
            if there == data:
                _set_mode(path, mode, gid if shared and name == SECRET else None)
                continue
            if there is not None and name != SECRET:  # a password that was replaced is worth nothing, and stays nowhere
                kept.append(_keep(path, there, files))
            files.write(path, data, mode, gid if shared and name == SECRET else None)
            written.append(name)
    except OSError as e:
        remedy = "Run it with sudo" if isinstance(e, PermissionError) else "Make room, then run the same again"
        raise Unavailable(f"{folder} cannot be written ({(e.strerror or '').lower()}). {remedy}") from e
    return Joined(tuple(written), tuple(kept), ours, private=root and gid is None)


def _set_mode(path: Path, mode: int, gid: int | None) -> None:
    path.chmod(mode)
    if gid is not None:
        os.chown(path, -1, gid)


def _keep(path: Path, data: bytes, files: Files) -> str:
    """A copy beside, under a name that no configuration reads."""
    number = 1
    while (copy := path.with_name(f"{path.name}.{number}.bak")).exists() and _content(copy) != data:
        number += 1
    files.write(copy, data, 0o644)
    return copy.name


# --- what must hold before anything is written


def _of_the_bundle(taken: Bundle) -> Document:
    """The bundle's edge.yaml, which must be this device's; whether it is complete is seen when all is written."""
    document = yamlfile.parse(taken.edge.encode(), EDGE)
    if document.readable:
        bundle.Joining(taken.tenant, taken.device).agree(document)
    if document.problems:
        raise ConfigError(
            [Problem(f"the bundle's {p.file}", p.line, p.col, p.path, p.message) for p in document.problems]
        )
    return document


def _refuse_another(taken: Bundle, folder: Path, former: Document | None, same: bool, replace: bool) -> None:
    """An identity that is here is not overwritten without being told."""
    if replace or (same and (former is None or _whose(former) == _name(taken))):
        return
    if former is not None:
        whose = _whose(former) or "a device that cannot be read"
        what = f"other credentials of {whose}" if whose == _name(taken) else whose
        raise Unavailable(
            f"{folder / EDGE} is there already, with {what}. To put {_name(taken)} in its place, with the former files "
            "kept beside: --replace. Nothing was written"
        )
    if (folder / SECRET).exists():
        raise Unavailable(f"{folder / SECRET} is there already, with another password. To overwrite it: --replace")


def _still_fits(taken: Bundle, former: Document, folder: Path) -> None:
    """An edge.yaml that stays must name what is written beside it."""
    bundle.Joining(taken.tenant, taken.device, folder=str(folder.resolve())).agree(former)
    if "broker" not in former.mapping(()):
        former.add((), "'broker' is missing. Take it from the bundle's edge.yaml", at_key=True)
    if former.problems:
        raise ConfigError(former.problems)


def _no_spool_of_another(edge: Document, former: Document, folder: Path) -> None:
    """A spool keeps whose samples it holds to itself: they would be sent under the new name, and refused."""
    for document in (edge, former):
        stated = document.mapping(("spool",)).get("path", "spool.db")
        spool = folder / str(stated)
        if spool.exists():
            raise Unavailable(
                f"{spool} holds samples of {_whose(former)}. Let its agent deliver them, or move the file away (with "
                f"{spool.name}-wal and {spool.name}-shm), then join again. Nothing was written"
            )


def _whose(document: Document) -> str:
    stated = document.mapping(())
    return user_name(str(stated.get("tenant", "?")), str(stated.get("device", "?"))) if document.readable else ""


def _name(taken: Bundle) -> str:
    return user_name(taken.tenant, taken.device)


def _secret(taken: Bundle) -> bytes:
    return f"{taken.credentials.password}\n".encode()


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as e:
        raise Unavailable(f"{path} cannot be read ({(e.strerror or '').lower()}). Run it with sudo") from e


def _group(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None
