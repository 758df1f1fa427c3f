"""The configuration folder as a whole: which files a process needs, and what they must agree on.

    stations.yaml           the stations, for the bridge
    bridge.yaml             the bridge
    people.yaml             who is called, for the bridge; without it every recipient of bridge.yaml is told
    edge.yaml               the agent on a device
    templates/*.txt         an operator's own words, for the bridge
    web.yaml                the page and the open interface; without it they are served to this machine alone
    levels.yaml             level tables beside those that come with Suimon; one of the same name replaces it
    device_profiles/*.yaml  sensor models beside those that come with Suimon; one of the same name replaces it

A folder is loaded whole or not at all: ConfigError carries every problem of every file concerned. No network.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path

from gateway import (
    bulletinfile,
    levelfile,
    peoplefile,
    processfile,
    profilefile,
    recipientfile,
    settings,
    sourcefile,
    stationfile,
    templatefile,
    webfile,
    websettings,
    yamlfile,
)
from gateway.clock import SystemClock
from gateway.errors import ConfigError, Problem
from gateway.fields import did_you_mean, instead
from gateway.profiles import Profile
from gateway.stations import HEALTH_CHANNELS, Channel, LevelTable, Registry
from gateway.yamlfile import Document

STATIONS, BRIDGE, EDGE, PROFILES = "stations.yaml", "bridge.yaml", "edge.yaml", "device_profiles"
PEOPLE, LEVELS, WEB = "people.yaml", "levels.yaml", "web.yaml"
DEFAULT_LEVELS = "jp-2026"


@dataclass
class Folder:
    """What stands in a folder, as far as it can be read, and every problem of it."""

    path: Path
    problems: list[Problem] = field(default_factory=list)
    registry: Registry | None = None
    profiles: dict[str, Profile] = field(default_factory=dict)
    edge: settings.Edge | None = None
    bridge: settings.Bridge | None = None
    web: websettings.Web | None = None


def load_stations(folder: Path) -> Registry:
    """stations.yaml, with the level table that bridge.yaml names where there is one. Raises ConfigError."""
    registry = _load(folder, STATIONS).registry
    assert registry is not None
    return registry


def load_edge(folder: Path, over: Path | None = None) -> tuple[settings.Edge, dict[str, Profile]]:
    """edge.yaml and every profile; stations.yaml too where it is in the folder. What is in `over` stands over the same
    name here, its paths and secrets are those of `folder`. Raises ConfigError."""
    found = _load(folder, EDGE, over)
    assert found.edge is not None
    return found.edge, found.profiles


def load_bridge(folder: Path) -> tuple[settings.Bridge, Registry]:
    """bridge.yaml and stations.yaml, with people.yaml where it is in the folder. Raises ConfigError."""
    found = _load(folder, BRIDGE)
    assert found.bridge is not None
    assert found.registry is not None
    return found.bridge, found.registry


def load_web(folder: Path) -> tuple[websettings.Web, settings.Bridge, Registry]:
    """What the page needs: web.yaml where there is one, and what the bridge goes by. Raises ConfigError."""
    found = _load(folder, WEB)
    assert found.web is not None
    assert found.bridge is not None
    assert found.registry is not None
    return found.web, found.bridge, found.registry


def place(folder: Path, path: yamlfile.Path) -> tuple[int, int]:
    """(line, column) of what stands in bridge.yaml at the path, or of the nearest thing around it."""
    return yamlfile.read(folder / BRIDGE, BRIDGE).place(path)


def check(folder: Path) -> list[Problem]:
    """Every problem of whatever of the files is present, in the order of files and lines."""
    return inspect(folder).problems


def inspect(folder: Path, now_ms: int | None = None) -> Folder:
    """Whatever of the files is present, and every problem of it; also where from `now_ms` on a role that is called has
    nobody, and what a medium needs that is not installed; a bridge that starts refuses neither: it must alarm all the
    same."""
    now = SystemClock().now_ms() if now_ms is None else now_ms
    present = {name for name in (STATIONS, BRIDGE, EDGE, PEOPLE, LEVELS, WEB) if (folder / name).exists()}
    if (folder / PROFILES).is_dir():
        present.add(PROFILES)
    if present:
        return _read(folder, present | ({STATIONS, BRIDGE} if {PEOPLE, WEB} & present else set()), now)
    what = "nothing to check here" if folder.is_dir() else "no folder" if folder.exists() else "no such folder"
    near = did_you_mean(STATIONS, [entry.name for entry in folder.iterdir()]) if folder.is_dir() else ""
    message = f"{what}. Expected {STATIONS}, {BRIDGE}, {PEOPLE}, {EDGE} or {PROFILES}/*.yaml{near}"
    return Folder(folder, [Problem(str(folder), 1, 1, "", message)])


@cache
def level_tables() -> dict[str, LevelTable]:
    """The level tables that come with Suimon, by name."""
    document = yamlfile.parse((resources.files("gateway") / LEVELS).read_bytes(), LEVELS)
    found = levelfile.tables(document)
    assert not document.problems, document.problems
    return found


def load_levels(name: str) -> LevelTable:
    """The level table of that name. Raises KeyError."""
    return level_tables()[name]


def load_profiles(folder: Path, problems: list[Problem], over: Path | None = None) -> dict[str, Profile]:
    """Every profile in order, by id: those that come with Suimon, and over them those of the folder. The examples of
    each are executed; what is wrong is added to `problems`."""
    found: dict[str, Profile] = {}
    for stem, (file, name) in profile_files(folder, over).items():
        document = yamlfile.read(file, name)
        profile = profilefile.profile(document, stem) if document.readable else None
        problems += document.problems
        if profile is not None:
            found[stem] = profile
    problems += [
        Problem(f"{PROFILES}/{file.name}", 1, 1, "", f"only .yaml is read. Rename it to {file.stem}.yaml")
        for file in sorted((folder / PROFILES).glob("*.yml"))
    ]
    return found


def profile_files(folder: Path, over: Path | None = None) -> dict[str, tuple[Path, str]]:
    """(file, its name in problems) of each profile by the name without .yaml; the folder's stand over the bundled."""
    package = Path(__file__).parent
    bundled = package / "_device_profiles"
    if not bundled.is_dir():
        bundled = package.parent / PROFILES
    files = {file.stem: (file, str(file)) for file in sorted(bundled.glob("*.yaml"))}
    for own in (x / PROFILES for x in (folder, over) if x is not None):
        files |= {file.stem: (file, f"{PROFILES}/{file.name}") for file in sorted(own.glob("*.yaml"))}
    return files


# --- reading a folder


def _load(folder: Path, wanted: str, over: Path | None = None) -> Folder:
    """What a process needs, or ConfigError with every problem of it."""
    also = {STATIONS: set(), BRIDGE: {STATIONS}, EDGE: {PROFILES}, WEB: {STATIONS, BRIDGE}}[wanted]
    if wanted == EDGE and (folder / STATIONS).exists():
        also.add(STATIONS)
    if wanted in (BRIDGE, WEB) and (folder / PEOPLE).exists():
        also.add(PEOPLE)
    found = _read(folder, {wanted} | also, over=over)
    if found.problems:
        raise ConfigError(found.problems)
    return found


def _read(folder: Path, names: set[str], now_ms: int | None = None, over: Path | None = None) -> Folder:
    with _collector_paused():
        return _Reader(folder, names, now_ms, over).read()


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without Python's cycle collector, which would walk the growing pile of nodes again and again: a thousand
    stations take half the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class _Reader:
    """Reads the named files of a folder, each once."""

    def __init__(self, folder: Path, names: set[str], now_ms: int | None, over: Path | None) -> None:
        self._names, self._now_ms, self._over = names, now_ms, over
        self._documents: dict[str, Document] = {}
        self._found = Folder(folder)
        self._own: dict[str, LevelTable] = {}  # level tables of the folder

    def read(self) -> Folder:
        found = self._found
        if LEVELS in self._names:
            self._tables()
        if STATIONS in self._names and (document := self._readable(STATIONS)):
            levels = self._levels()
            if _names_sensors(document):
                found.profiles = load_profiles(found.path, found.problems, self._over)
            found.registry = Registry(
                stationfile.stations(document, levels, found.profiles, found.path, self._now_ms), levels
            )
        if BRIDGE in self._names and (document := self._readable(BRIDGE)):
            found.bridge = processfile.bridge(document, found.path, self._table_names())
            if self._now_ms is not None:
                recipientfile.packages(document)
            if found.bridge:
                own = templatefile.read(found.path, found.bridge, found.problems)
                found.bridge = replace(found.bridge, templates=own)
                self._sources(document)
        if PEOPLE in self._names and found.bridge and (document := self._readable(PEOPLE)):
            found.bridge = peoplefile.people(document, found.path, found.bridge, found.registry, self._now_ms)
        self._web()
        if {EDGE, PROFILES} & self._names and not found.profiles:
            found.profiles = load_profiles(found.path, found.problems, self._over)
        if EDGE in self._names and (document := self._readable(EDGE)):
            found.edge = processfile.edge(document, found.path, found.profiles, profile_files(found.path, self._over))
            if found.edge and found.registry:
                _agree(document, found.edge, found.profiles, found.registry, self._declared())
                _keep(document, found.edge, found.profiles, found.registry, self._documents[STATIONS])
        for name in self._names & self._documents.keys():
            found.problems += self._documents[name].problems
        found.problems.sort()
        return found

    def _web(self) -> None:
        there = (self._found.path / WEB).exists()
        document = self._readable(WEB) if there and WEB in self._names else None
        declared = self._declared() if STATIONS in self._documents else set()
        if WEB in self._names and (document is not None or not there):
            found = self._found
            beside = found.bridge.store.parent if found.bridge else found.path
            found.web = webfile.web(document, found.path, found.registry, beside, declared)

    def _sources(self, document: Document) -> None:
        """What others send: the agency's bulletins, and devices; their profiles are read where there are any."""
        found = self._found
        if found.registry is not None and found.bridge is not None:
            bulletinfile.agree(document, found.bridge, {tenant for tenant, _ in found.registry.stations})
        if not document.mapping(("sources",)) or found.registry is None or found.bridge is None:
            return
        found.profiles = found.profiles or load_profiles(found.path, found.problems)
        sources = sourcefile.sources(document, found.profiles, found.registry)
        found.bridge = replace(found.bridge, sources=sources)

    def _readable(self, name: str) -> Document | None:
        if name not in self._documents:
            over = self._over / name if self._over is not None else None
            file = over if over is not None and over.exists() else self._found.path / name
            self._documents[name] = yamlfile.read(file, name)
        document = self._documents[name]
        return document if document.readable else None

    def _levels(self) -> LevelTable:
        """The table that bridge.yaml names. A bridge.yaml that cannot be read may name another: it is concerned."""
        stated: object = None
        if (self._found.path / BRIDGE).exists():
            document = self._readable(BRIDGE)
            stated = document.mapping(()).get("level_table") if document else None
            if document is None:
                self._names.add(BRIDGE)
        tables = self._tables()
        return tables[stated] if isinstance(stated, str) and stated in tables else tables[DEFAULT_LEVELS]

    def _tables(self) -> dict[str, LevelTable]:
        """Those that come with Suimon, and over them those of the folder."""
        if not (self._found.path / LEVELS).exists():
            return level_tables()
        self._names.add(LEVELS)
        if LEVELS not in self._documents and (document := self._readable(LEVELS)):
            self._own = levelfile.tables(document)
        return level_tables() | self._own

    def _table_names(self) -> set[str]:
        """Every table that there is, in order or not."""
        stated = self._documents[LEVELS].mapping(("tables",)) if self._tables() and LEVELS in self._documents else ()
        return {*level_tables(), *map(str, stated)}

    def _declared(self) -> set[str]:
        """Every station that stands in stations.yaml, in order or not."""
        document = self._documents[STATIONS]
        return {str(name) for name in document.mapping(("stations",))}


def _names_sensors(document: Document) -> bool:
    """Whether a channel takes the limits of a sensor from its profile."""
    names = document.mapping(("stations",))
    channels = [document.mapping(("stations", name, "channels")) for name in names]
    return any(isinstance(c, dict) and "sensor" in c for found in channels for c in found.values())


# --- what edge.yaml and stations.yaml must agree on


def _agree(
    document: Document,
    edge: settings.Edge,
    profiles: dict[str, Profile],
    registry: Registry,
    declared: set[str],
) -> None:
    for sensor in edge.sensors:
        path: yamlfile.Path = ("sensors", sensor.name)
        station = registry.station(edge.tenant, sensor.station)
        if station is not None and station.device != edge.device:
            message = f"{station.id} is served by device '{station.device}' ({STATIONS}), not by '{edge.device}'"
            document.add((*path, "station"), message)
        elif station is not None:
            _channels_agree(document, path, sensor, profiles[sensor.profile], station.channels)
        elif sensor.station == edge.device:
            _health_agrees(document, path, sensor, profiles[sensor.profile])
        elif foreign := next((t for t, name in registry.stations if name == sensor.station), None):
            message = f"{sensor.station} belongs to tenant '{foreign}' ({STATIONS}), not to '{edge.tenant}'"
            document.add((*path, "station"), message)
        elif sensor.station not in declared:
            message = f"'{sensor.station}' is not in {STATIONS}{did_you_mean(sensor.station, declared)}"
            document.add((*path, "station"), message)


def _keep(
    document: Document, edge: settings.Edge, profiles: dict[str, Profile], registry: Registry, stations: Document
) -> None:
    """What a profile calls internal leaves the house only where stations.yaml says so in words."""
    for sensor in edge.sensors:
        for name, channel in sensor.channels.items():
            value, found = profiles[sensor.profile].value(name), registry.channel(edge.tenant, sensor.station, channel)
            stated = stations.mapping(("stations", sensor.station, "channels", channel))
            if value is not None and value.internal and found and not found.internal and "internal" not in stated:
                message = (
                    f"{name} of {sensor.profile} is internal, and {channel} of {sensor.station} would leave the house"
                )
                remedy = f". Add 'internal: true' (or false) to that channel in {STATIONS}"
                document.add(("sensors", sensor.name, "channels", name), message + remedy)


def _channels_agree(
    document: Document, path: yamlfile.Path, sensor: settings.Sensor, profile: Profile, channels: Mapping[str, Channel]
) -> None:
    for name, channel_name in sensor.channels.items():
        where = (*path, "channels", name)
        channel, value = channels.get(channel_name), profile.value(name)
        if channel is None:
            document.add(where, f"{sensor.station} has no channel '{channel_name}'{instead(channel_name, channels)}")
            continue
        if channel.derived:
            document.add(where, f"{channel_name} is what the bridge derives from {channel.derived}. Send that one")
            continue
        # A distance becomes a level only at the bridge; its factor shows the direction.
        if value is not None and value.quantity != channel.takes:
            message = f"{name} of {profile.id} is a {value.quantity}, channel {channel_name} takes a {channel.takes}"
            document.add(where, message)
        if sensor.interval_s > channel.contract.late_after_s:
            message = (
                f"{sensor.interval_s:g} s is longer than {sensor.station} waits for {channel_name} "
                f"(interval and grace {channel.contract.late_after_s:g} s), so it would always be late"
            )
            document.add((*path, "interval"), message)


def _health_agrees(document: Document, path: yamlfile.Path, sensor: settings.Sensor, profile: Profile) -> None:
    """A sensor may feed what a device says of itself, under the device's own name."""
    for name, channel in sensor.channels.items():
        value = profile.value(name)
        if channel not in HEALTH_CHANNELS or (value and value.quantity != HEALTH_CHANNELS[channel]):
            known = ", ".join(HEALTH_CHANNELS)
            message = f"{name} is not one of the device's own channels ({known}). Name a station of {STATIONS}"
            document.add((*path, "channels", name), message)
