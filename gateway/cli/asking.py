"""How a command asks for a change of the store: of the running bridge by a request, else by the same code itself."""

from __future__ import annotations

import getpass
import os
import time
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from gateway import storefile
from gateway.clock import SystemClock
from gateway.errors import Unavailable
from gateway.model import ClockState

if TYPE_CHECKING:
    from pathlib import Path

    from gateway import settings
    from gateway.bridge.work import Memory, Rules
    from gateway.stations import Registry

PATIENCE_S = 30.0  # without any progress of a request
LOOK_S = 0.1


class NobodyRuns(Unavailable):
    """No bridge runs on the store."""


def ask(bridge: settings.Bridge, registry: Registry, kind: str, body: msgspec.Struct) -> dict[str, Any]:
    """The answer. Says on stderr who did it where no bridge runs. Raises Unavailable where it was refused, or where
    the bridge does not answer; then the request is taken back if it was not begun."""
    from gateway.bridge import requests

    text = msgspec.json.encode(body).decode()
    request = storefile.ask(bridge.store, kind, text, getpass.getuser(), SystemClock().now_ms())
    try:
        requests.alone(bridge, lambda memory: _rules(bridge, registry, memory), request)
        typer.echo("no bridge runs on this store; it was done here, and nobody is told before one runs", err=True)
    except storefile.InUse:
        _wait(bridge.store, request)
    except Unavailable:
        storefile.withdraw(bridge.store, request)
        raise
    state, answer = storefile.answer(bridge.store, request)
    found: dict[str, Any] = msgspec.json.decode(answer or "{}")
    if state == "refused":
        raise Unavailable(f"refused: {found.get('reason', 'without a reason')}")
    return found


def ask_running(
    store: Path, kind: str, body: msgspec.Struct | None = None, patience_s: float = PATIENCE_S
) -> tuple[str, dict[str, Any]]:
    """(state, answer) of what only a running bridge can do. Raises NobodyRuns where none runs on this store,
    Unavailable where it does not answer."""
    if not store.exists():
        raise NobodyRuns(f"no bridge runs on {store}, which does not exist: start it")
    text = msgspec.json.encode(body).decode() if body is not None else "{}"
    request = storefile.ask(store, kind, text, getpass.getuser(), SystemClock().now_ms())
    try:
        os.close(storefile.lock(store, "process"))
    except storefile.InUse:
        _wait(store, request, patience_s)
    else:
        storefile.withdraw(store, request)
        raise NobodyRuns(f"no bridge runs on {store}: start it")
    state, answer = storefile.answer(store, request)
    return state, msgspec.json.decode(answer or "{}")


def _wait(store: Path, request: int, patience_s: float = PATIENCE_S) -> None:
    """Until the bridge has answered. A long request tells how far it is."""
    last: tuple[str, str | None] = ("asked", None)
    since = time.monotonic()
    while True:
        said = storefile.answer(store, request)
        if said[0] != "asked":
            return
        if said != last:
            last, since = said, time.monotonic()
        if time.monotonic() - since > patience_s:
            if storefile.withdraw(store, request):
                raise Unavailable(f"the bridge does not answer within {patience_s:g} s; the request was taken back")
            raise Unavailable(f"the bridge began request {request} and does not go on; it will when it can write")
        time.sleep(LOOK_S)


def _rules(bridge: settings.Bridge, registry: Registry, memory: Memory) -> Rules:
    """As a running bridge would judge now."""
    from gateway.bridge.work import Rules

    clock = SystemClock()
    now = clock.now_ms()
    trusted = bridge.trust_clock == "always" or clock.sync_state() is not ClockState.UNSYNCED
    future = now + round(bridge.future_tolerance_s * 1000) if trusted and now >= memory.last_commit_ms else None
    return Rules(registry, bridge, now, future, None)
