"""What keeps a GPIO chip from being read, looked for without taking its lines: a running agent holds them."""

from __future__ import annotations

from collections.abc import Sequence

from gateway import settings
from gateway.doctor import Finding, State
from gateway.edge import gpiolines


def chip(name: str, called: str, lines: Sequence[settings.Line]) -> Finding:
    """Is the library installed, the chip there, may this user use it, does it have the lines, and are they free?"""
    try:
        gpiolines.library()
    except OSError as e:
        return Finding(
            name, called, State.FAIL, str(e), "On a 32-bit system it is built: sudo apt install python3-dev gcc"
        )
    try:
        users = gpiolines.users(called, [line.line for line in lines])
    except PermissionError:
        remedy = "Let the agent's user into the group of the chip (often gpio)"
        return Finding(name, called, State.FAIL, "this user may not use it", remedy)
    except OSError as e:
        remedy = "'gpiodetect' lists chips, 'gpioinfo' their lines (package gpiod of the system)"
        return Finding(name, called, State.FAIL, e.strerror or str(e), remedy)
    taken = {line: user for line, user in users.items() if user and user != gpiolines.CONSUMER}
    if taken:
        said = ", ".join(f"line {line} is used by {user}" for line, user in taken.items())
        return Finding(name, called, State.FAIL, said, "Name another line, or take it from that driver (config.txt)")
    held = [line for line, user in users.items() if user]
    return Finding(name, called, State.OK, f"is there; the agent holds {', '.join(held)}" if held else "is there")
