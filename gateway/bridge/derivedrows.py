"""What is remembered of rain gauges, in the store. Written and read within the store's transactions."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping

import msgspec

from gateway.bridge.work import Series, Work
from gateway.rain import State

log = logging.getLogger(__name__)


def states(db: sqlite3.Connection, names: Mapping[int, Series]) -> dict[Series, State]:
    """What is known of each gauge. What an earlier version wrote in another form is forgotten: sums begin anew."""
    found, forgotten = dict[Series, State](), 0
    for channel_id, text in db.execute("SELECT channel_id, state FROM rain_states"):
        try:
            found[names[channel_id]] = msgspec.json.decode(text, type=State)
        except msgspec.DecodeError:
            forgotten += 1
    if forgotten:
        log.warning("the sums of %d rain gauges begin anew: their state has another form", forgotten)
    return found


def write(db: sqlite3.Connection, work: Work, channel_id: Callable[[Series], int]) -> None:
    rows = [(channel_id(series), msgspec.json.encode(state).decode()) for series, state in work.rains.items()]
    db.executemany("INSERT OR REPLACE INTO rain_states VALUES (?,?)", rows)
