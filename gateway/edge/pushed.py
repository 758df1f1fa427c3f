"""Pushed configurations on the card, beside the spool: a folder for each, never changed once it is complete, and one
small file that says which of them counts. That file is replaced whole, so a crash leaves the former or the next state;
what it does not name is swept away."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from gateway import config, settings
from gateway.disk import DISK
from gateway.edge import trial
from gateway.edge.trial import State, Trial
from gateway.errors import ConfigError, Unavailable
from gateway.profiles import Profile

log = logging.getLogger(__name__)

NAME = re.compile(r"edge\.yaml|device_profiles/[a-z0-9][a-z0-9_.-]{0,80}\.yaml")
MOST_BYTES = 200_000
Loaded = tuple[settings.Edge, Mapping[str, Profile]]


class Pushed:
    """Of one device whose own configuration is in `folder`. `mark` as in `Agent`: copied, staged, started,
    confirmed."""

    def __init__(self, folder: Path, spool: Path, mark: Callable[[str], None] = lambda _: None) -> None:
        self.folder, self._root, self._mark = folder, spool.with_name(spool.name + ".remote"), mark
        self.state = self._read()

    @property
    def base(self) -> str:
        """Digest of the device's own edge.yaml. Raises Unavailable."""
        try:
            return hashlib.sha256((self.folder / config.EDGE).read_bytes()).hexdigest()[:16]
        except OSError as e:
            raise Unavailable(f"{self.folder / config.EDGE} cannot be read: {e.strerror}") from e

    def start(self, own: Loaded) -> Loaded:
        """What the agent is to run by. A trial that cannot be noted, or cannot be read, is not run."""
        state, run = trial.started(self.state, self.base)
        if state != self.state:
            try:
                self.write(state)
            except Unavailable as e:
                log.error("%s; the pushed configuration on trial is not tried", e)
                run = "good" if state.good is not None else "base"
        self._mark("started")
        self._sweep()
        if run == "trial":
            assert state.trial is not None
            log.info("configuration %s is on trial for %g s", state.trial.id, state.trial.within_s)
            try:
                return self._load(state.trial.folder)
            except ConfigError as e:
                log.error("it cannot be used: %s", e)
                self._over("it cannot be read", state)
                run = "good" if state.good is not None else "base"
        if run == "good" and state.good is not None:
            try:
                return self._load(state.good.folder)
            except ConfigError as e:
                log.error("the pushed configuration cannot be used, the device's own is: %s", e)
        return own

    def check(self, files: Mapping[str, str], own: settings.Edge) -> list[str]:
        """Everything that is wrong with a configuration; nothing of it stays."""
        if config.EDGE not in files or any(not NAME.fullmatch(name) for name in files):
            return [f"a push holds {config.EDGE}, and profiles in {config.PROFILES}/"]
        if sum(len(text.encode()) for text in files.values()) > MOST_BYTES:
            return [f"a push holds at most {MOST_BYTES} bytes"]
        place = self._root / "check"
        try:
            self._copy(files, place)
            found, _ = self._load(place.name)
        except ConfigError as e:
            return [str(x) for x in e.problems]
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return _another(found, own)

    def stage(self, files: Mapping[str, str], about: Trial) -> None:
        """Put it on the card, to be tried at the next start. Raises Unavailable where the card cannot be written."""
        self._copy(files, self._root / about.folder)
        self._mark("copied")
        self.write(trial.staged(self.state, about))
        self._mark("staged")

    def confirm(self) -> None:
        """The bridge was heard. A card that refuses is asked again at the next turn."""
        self.write(trial.confirmed(self.state))
        self._mark("confirmed")
        self._sweep()

    def roll_back(self, why: str) -> None:
        """Also where the card refuses: the next start finds a trial that was begun, and goes back."""
        self._over(why, self.state)

    def write(self, state: State) -> None:
        """Durable before it counts. Raises Unavailable."""
        new = self._root / "state.new"
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            _write(new, msgspec.json.encode(state))
            new.replace(self._root / "state.json")
            DISK.sync_folder(self._root)
        except OSError as e:
            raise Unavailable(f"{self._root} cannot be written: {e.strerror}") from e
        self.state = state

    # --- files ---------------------------------------------------------------------------------------------------

    def _over(self, why: str, state: State) -> None:
        try:
            self.write(trial.rolled_back(state, why))
        except Unavailable as e:
            log.error("%s", e)
            self.state = trial.rolled_back(state, why)

    def _load(self, name: str) -> Loaded:
        try:
            return config.load_edge(self.folder, self._root / name)
        except OSError as e:
            raise ConfigError([]) from e

    def _read(self) -> State:
        try:
            return msgspec.json.decode((self._root / "state.json").read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except (OSError, msgspec.DecodeError) as e:
            log.error("%s cannot be read (%s); the device's own configuration is used", self._root / "state.json", e)
            return State()

    def _copy(self, files: Mapping[str, str], place: Path) -> None:
        try:
            shutil.rmtree(place, ignore_errors=True)
            (place / config.PROFILES).mkdir(parents=True)
            for name, text in files.items():
                _write(place / name, text.encode())
            for folder in (place / config.PROFILES, place, self._root, self._root.parent):
                DISK.sync_folder(folder)
        except OSError as e:
            raise Unavailable(f"{place} cannot be written: {e.strerror}") from e

    def _sweep(self) -> None:
        keep = self.state.folders | {"state.json"}
        with contextlib.suppress(OSError):
            for entry in self._root.iterdir():
                if entry.name not in keep:
                    shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _another(found: settings.Edge, own: settings.Edge) -> list[str]:
    """What a push may not change: who the device is, and where its readings lie."""
    problems = []
    for name, was, now in (
        ("tenant", own.tenant, found.tenant),
        ("device", own.device, found.device),
        ("spool.path", own.spool.path, found.spool.path),
        ("simulation", own.simulation, found.simulation),
    ):
        if was != now:
            problems.append(f"{config.EDGE}:1:1 {name}: {now} is not the device's own ({was}). It stays as it is")
    return problems
