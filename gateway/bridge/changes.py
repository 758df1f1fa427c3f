"""What differs between the configuration in force and one that is to take its place. Pure.

Names only, never values: a changed setting may be a secret.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

from gateway import settings
from gateway.stations import Registry

# What is fixed when the bridge starts (connections, the open file, the ports), by where it stands in bridge.yaml.
FIXED: dict[str, tuple[str, ...]] = {
    "store": ("store", "path"),
    "broker": ("broker",),
    "client_id": ("client_id",),
    "influx": ("influx",),
    "orion": ("orion",),
    "bulletins": ("bulletins",),
    "watch": ("watch",),
    "heartbeat": ("heartbeat",),
    "cap": ("cap",),
    "paper": ("paper",),
    "max_held_bytes": ("limits", "held"),
    "simulation": ("simulation",),
}
_SHOWN = {"store", "client_id"}  # with what they are, which is no secret
RESTART = "fixed while the bridge runs. Put it back and reload the rest, or restart the bridge"
_TOLD_APART = {"recipients", "media"}
NAMED = 10  # of each kind, in words


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of what came, went and is another: stations as `tenant/station`, recipients, the other settings."""

    stations_added: tuple[str, ...] = ()
    stations_removed: tuple[str, ...] = ()
    stations_changed: tuple[str, ...] = ()
    recipients_added: tuple[str, ...] = ()
    recipients_removed: tuple[str, ...] = ()
    recipients_changed: tuple[str, ...] = ()
    settings_changed: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """One for each kind of change that there is."""
        found = [(f.name.replace("_", " "), getattr(self, f.name)) for f in fields(self)]
        return [f"{what}: {_shortly(names)}" for what, names in found if names]


def _shortly(names: tuple[str, ...]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def between(old: settings.Bridge, old_registry: Registry, new: settings.Bridge, new_registry: Registry) -> Changes:
    """What becomes another when `new` takes the place of `old`."""
    had, has = old_registry.stations, new_registry.stations
    recipients = {r.name: r for r in old.recipients}, {r.name: r for r in new.recipients}
    others = [f.name for f in fields(settings.Bridge) if f.name not in _TOLD_APART]
    differ = [name for name in others if getattr(old, name) != getattr(new, name)]
    levels = ["levels"] * (old_registry.levels != new_registry.levels and "level_table" not in differ)
    return Changes(
        tuple("/".join(x) for x in sorted(has.keys() - had.keys())),
        tuple("/".join(x) for x in sorted(had.keys() - has.keys())),
        tuple("/".join(x) for x in sorted(has.keys() & had.keys()) if has[x] != had[x]),
        tuple(sorted(recipients[1].keys() - recipients[0].keys())),
        tuple(sorted(recipients[0].keys() - recipients[1].keys())),
        tuple(x for x in sorted(recipients[0].keys() & recipients[1].keys()) if recipients[0][x] != recipients[1][x]),
        tuple(sorted([*differ, *levels])),
    )


def needing_restart(old: settings.Bridge, new: settings.Bridge) -> list[tuple[tuple[str, ...], str]]:
    """The settings that differ and are fixed while the bridge runs, as paths in bridge.yaml, with the remedy."""
    found = []
    for name, path in FIXED.items():
        had, has = getattr(old, name), getattr(new, name)
        if had != has:
            what = f"'{has}' is not '{had}', with which the bridge runs; it is" if name in _SHOWN else "it is"
            found.append((path, f"{what} {RESTART}"))
    topics = [{source.filter for source in bridge.sources} for bridge in (old, new)]
    if topics[0] != topics[1]:  # what is subscribed to
        found.append((("sources",), f"which topics are read is {RESTART}"))
    return found


def digest(bridge: settings.Bridge, registry: Registry) -> str:
    """By it two configurations are told apart. Secrets are no part of it: nobody can try them out on it."""
    return hashlib.sha256(f"{registry.digest()}{bridge!r}".encode()).hexdigest()[:16]
