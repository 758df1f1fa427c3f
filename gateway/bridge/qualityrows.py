"""What the quality tests remember and said, in the store. Written and read within the store's transactions."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping

import msgspec

from gateway.bridge.work import Series, Work
from gateway.quality import State

log = logging.getLogger(__name__)


def states(db: sqlite3.Connection, names: Mapping[int, Series]) -> dict[Series, State]:
    """What is remembered of each channel. What an earlier version wrote in another form is forgotten: the tests of
    that channel begin anew, which costs no reading."""
    found, forgotten = dict[Series, State](), 0
    for channel_id, text in db.execute("SELECT channel_id, state FROM quality_states"):
        try:
            found[names[channel_id]] = msgspec.json.decode(text, type=State)
        except msgspec.DecodeError:
            forgotten += 1
    if forgotten:
        log.warning("the quality tests of %d channels begin anew: their state has another form", forgotten)
    return found


def write(db: sqlite3.Connection, work: Work, channel_id: Callable[[Series], int]) -> None:
    rows = [(channel_id(series), msgspec.json.encode(state).decode()) for series, state in work.quality.items()]
    db.executemany("INSERT OR REPLACE INTO quality_states VALUES (?,?)", rows)
    db.executemany(
        "INSERT INTO assessments (channel_id, observed_ms, flag, tests, assessed_ms) VALUES (?,?,?,?,?)",
        [
            (channel_id((x.tenant, x.station, x.channel)), x.observed_ms, int(x.flag), " ".join(x.tests) or None,
             work.rules.now_ms)
            for x in work.assessments
        ],
    )  # fmt: skip
