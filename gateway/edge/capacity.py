"""How long the spool can go on without a bridge, and what of its state concerns staff."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from gateway import settings
from gateway.errors import NoticeCode
from gateway.stations import HEALTH_CHANNELS

log = logging.getLogger(__name__)

ROW_BYTES = 48  # of a spooled sample beside its body: key, time, clock state, page overhead
LASTS_S = 86_400.0  # for so long after it happened staff are told that the spool was damaged, or thinned
HALF, NEARLY_FULL = 0.5, 0.8
BACK = 0.05  # a notice ends so far below the share at which it began
LEVELS = (
    (HALF, NoticeCode.SPOOL_HALF),
    (NEARLY_FULL, NoticeCode.SPOOL_NEARLY_FULL),
)


def bytes_per_s(edge: settings.Edge, raised: bool = False) -> float:
    """What sensors and health as configured add to the spool in a second, by the size of their rows: at the ordinary
    intervals, or with every sensor that has one at its raised interval."""
    rate = 0.0
    for sensor in edge.sensors:
        every_s = sensor.raised.interval_s if raised and sensor.raised else sensor.interval_s
        rate += _row_bytes(sensor.station, sensor.channels.values()) / every_s
    if edge.health_s is not None:
        rate += _row_bytes(edge.device, HEALTH_CHANNELS) / edge.health_s
    return rate


def _row_bytes(station: str, channels: Iterable[str]) -> int:
    return len(msgspec.json.encode([(station, c, "unit", 123.456, None) for c in channels])) + ROW_BYTES


def hours(room_bytes: float, rate: float) -> float | None:
    """For how long so much room lasts; None where nothing is sampled."""
    return room_bytes / rate / 3600 if rate > 0 else None


class Watch:
    """Says the first of each condition, and its end with the count. Not thread-safe: the spool's lock guards it."""

    def __init__(self, path: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._path, self._now = path, now
        self._level = 0  # of LEVELS, 0 below the first
        self._until: dict[NoticeCode, float] = {}
        self._refusals = 0
        self._thinned = 0

    def filled(self, share: float) -> None:
        """The share of the spool that samples without a receipt fill."""
        level = self._level
        while level < len(LEVELS) and share >= LEVELS[level][0]:
            level += 1
        while level > 0 and share < LEVELS[level - 1][0] - BACK:
            level -= 1
        if level > self._level:
            log.warning("the spool %s: %d %% filled with samples that have no receipt", self._path, share * 100)
        elif level < self._level:
            log.info("the spool %s has room again: %d %% filled", self._path, share * 100)
        self._level = level

    def began(self, code: NoticeCode, age_s: float = 0.0) -> None:
        """SPOOL_DAMAGED or SPOOL_THINNED, so long ago. Staff are told for a day."""
        self._until[code] = self._now() + LASTS_S - min(max(age_s, 0.0), LASTS_S)

    def thinned(self, count: int) -> None:
        """So many samples that the bridge does not have were just given up."""
        if not self._thinned:
            log.error("the spool %s is full: samples that the bridge does not have are given up", self._path)
        self._thinned += count
        self.began(NoticeCode.SPOOL_THINNED)

    def refused(self, error: Exception, waiting: int) -> None:
        if not self._refusals:
            log.error("the spool %s cannot be written (%s); %d samples wait in memory", self._path, error, waiting)
        self._refusals += 1

    def taken(self) -> None:
        """The card took a commit."""
        if self._refusals:
            log.info("the spool %s can be written again after %d failures", self._path, self._refusals)
            self._refusals = 0
        if self._thinned and self._now() >= self._until[NoticeCode.SPOOL_THINNED]:
            log.info("the spool %s: nothing given up for a day, after %d samples", self._path, self._thinned)
            self._thinned = 0

    def notices(self) -> list[str]:
        """Codes of what lasts, in the order of the list of codes."""
        now = self._now()
        codes = {code for code, until in self._until.items() if now < until}
        if self._level:
            codes.add(LEVELS[self._level - 1][1])
        if self._refusals:
            codes.add(NoticeCode.CARD_REFUSES)
        return [code.value for code in NoticeCode if code in codes]
