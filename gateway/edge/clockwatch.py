"""Whether the device's clock concerns staff: not set for a while, or so far ahead that the bridge refuses its samples.

A device cannot see that a clock which calls itself set is wrong. The bridge sees one that is ahead, and its receipts
say so; one that is behind is seen by nobody but by the age of what arrives.
"""

from __future__ import annotations

import logging

from gateway import wire
from gateway.clock import Clock
from gateway.errors import NoticeCode, RejectCode
from gateway.model import ClockState

log = logging.getLogger(__name__)

UNSET_S = 60.0  # samples wait so long for a clock to be set; a slower one is worth a word


class ClockWatch:
    """Of one opening of the spool. Called under the uplink's lock."""

    def __init__(self, clock: Clock, opening: str) -> None:
        self._clock, self._opening = clock, opening
        self._set_ms = clock.uptime_ms()  # when the clock was last seen set
        self._ahead = False

    def heard(self, receipt: wire.Receipt) -> None:
        """What a believed receipt says of this opening. The newest sample that it settles decides: what was refused
        before it was read while the clock was still ahead."""
        for entry in receipt.logs:
            if entry.log != self._opening:
                continue
            newest = max([entry.through, *(b for _, b in entry.settled)])
            refused = [b for _, b, code in entry.rejected if code == RejectCode.TIME_FUTURE]
            ahead = bool(refused) and max(refused) >= newest
            if ahead and not self._ahead:
                log.error("the bridge refuses sample %d: its time lies in the future. Set this device's clock", newest)
            elif self._ahead and not ahead:
                log.info("the bridge takes this device's times again")
            self._ahead = ahead

    def notices(self) -> list[str]:
        now = self._clock.uptime_ms()
        if self._clock.sync_state() is not ClockState.UNSYNCED:
            self._set_ms = now
        unset = now - self._set_ms > UNSET_S * 1000
        return [NoticeCode.DEVICE_CLOCK.value] if unset or self._ahead else []
