"""A lamp or siren on the LAN: it shows the state of the house, not single notifications.

Each notification only says that something changed; what is shown is read from the store then: the highest rank of all
watched channels (an unconfirmed one from rank 4 on counts). So one that comes late, or twice, shows what is true now.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway import settings, storefile
from gateway.bridge.media.answer import Unreached
from gateway.bridge.media.http import Answered, call, judged
from gateway.channelstate import ChannelState
from gateway.disk import DISK, Disk
from gateway.errors import MediumReason, Unavailable
from gateway.model import Condition

UNCONFIRMED = 4  # from this rank on, what is not confirmed is shown too


class Lamp:
    """GET of the recipient's URL followed by what stands under the highest level reached."""

    def __init__(self, to: settings.Recipient, store: Path, disk: Disk = DISK) -> None:
        self._to, self._store, self._disk = to, store, disk

    def send(self, key: str, body: str) -> None:
        shown = max((level for level in self._to.levels if level <= self.rank()), default=None)
        if shown is None:
            return  # below everything that it shows
        try:
            call(self._to.url + self._to.levels[shown], None, {}, self._to.timeout_s, method="GET")
        except Answered as e:
            raise judged(e) from None

    def rank(self) -> int:
        """The highest of all watched channels; maintenance left out."""
        try:
            rows = storefile.rows(self._store, storefile.LATEST, (), self._disk)
        except Unavailable as e:
            raise Unreached(MediumReason.FAILED, str(e)) from None
        states = (msgspec.json.decode(row[-1], type=ChannelState) for row in rows)
        ranks = (
            max(s.rank, s.unconfirmed if s.unconfirmed >= UNCONFIRMED else 0)
            for s in states
            if s.condition is not Condition.MAINTENANCE
        )
        return max(ranks, default=0)
