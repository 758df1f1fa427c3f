"""One sensor on one bus by the words of a command line, checked by the very rules of edge.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from gateway import processfile, settings, yamlfile
from gateway.errors import ConfigError, Problem
from gateway.profiles import Profile

_SETTING = re.compile(r"([a-z_]+)=(\S.*|)")
_NEARLY = re.compile(r"([a-z_]+)\s*[ :=]\s*(\S.*)")
_EXAMPLE = re.compile(r"Add for example '(\w+): (.*)'")


def of(
    profile: Profile, bus: str, given: Sequence[str], unit_id: int | None, address: str | None, lines: str | None
) -> tuple[settings.Bus, settings.Sensor]:
    """`given` are settings of the bus as `key=value`, the value written as in edge.yaml. Raises ConfigError."""
    read = [(word, _SETTING.fullmatch(word)) for word in given]
    if wrong := [Problem("", 1, 1, "buses.bus", _unset(word)) for word, found in read if found is None]:
        raise ConfigError(wrong)
    section = [f"type: {bus}", *(f"{found[1]}: {found[2]}" for _, found in read if found)]
    sensor = ["station: here", "bus: bus", f"profile: {json.dumps(profile.id)}", "interval: 60s"]
    sensor += [] if profile.verified else ["accept_unverified: true"]
    sensor += [] if unit_id is None else [f"unit_id: {unit_id}"]
    sensor += [] if address is None else [f"address: {json.dumps(address)}"]
    sensor += [] if lines is None else [f"lines: {lines}"]
    text = "\n    ".join(["buses:\n  bus:", *section]) + "\n" + "\n    ".join(["sensors:\n  sensor:", *sensor]) + "\n"
    document = yamlfile.parse(text.encode(), "")
    if not document.readable:
        raise ConfigError(document.problems)
    wanted, stands = processfile.single(document, profile)
    if document.problems or wanted is None or stands is None:
        raise ConfigError(document.problems)
    return wanted, stands


def _unset(word: str) -> str:
    near = _NEARLY.fullmatch(word)
    remedy = f"Did you mean '{near[1]}={near[2]}'?" if near else "Write 'host=192.168.1.20'"
    return f"'{word}' is no setting. {remedy}"


def said(problem: Problem) -> str:
    """A problem in the words of the command line."""
    path, message = problem.path, problem.message
    if path.startswith("buses.bus"):
        path = path.replace("buses.bus.", "--set ").replace("buses.bus", "--set")
        message = _EXAMPLE.sub(r"Add for example '--set \1=\2'", message)
    else:
        path = path.replace("sensors.sensor.", "--").replace("sensors.sensor", "the sensor").replace("_", "-")
        message = _EXAMPLE.sub(r"Add for example '--\1 \2'", message)
    return f"{path}: {message}" if path else message
