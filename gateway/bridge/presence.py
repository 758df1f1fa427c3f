"""One bridge at a time on a broker: who has the place, and who yields it.

Every bridge announces itself, retained, at each connection and once a minute, with a name of this run (`instance`) and
the number of its place (`term`). A newcomer asks first and stays away where another answers; with `--takeover`, or
where nobody answers, it takes a higher term. Of two that meet the higher term stays, so that never both go. Clocks do
not matter: a retained announcement proves nothing, and only one that arrives live does.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections.abc import Callable
from typing import Literal

from gateway import settings, wire
from gateway.mqtt import Delivery, Session

ANNOUNCE_EVERY_S = 60.0
GRACE_S = 0.3  # for an answer, where nothing says that another bridge is there
ANSWER_S = 5.0  # where a retained announcement says so
UNANSWERED_S = 5.0  # connected, and the broker does not even answer the subscription
UNASKED_S = 10.0  # without a broker that could be asked
PAUSED = "paused"


class Displaced(Exception):
    """Another bridge has the place, and this one stops. Its text is for people."""


class Presence:
    """This bridge's word on itself, and what another's word means for it."""

    def __init__(self, store: str, now_ms: int, takeover: bool) -> None:
        self.store, self.term, self.takeover = store, now_ms, takeover
        self.instance = secrets.token_hex(8)
        self.backlog = ""

    def status(self, state: Literal["online", "offline"]) -> bytes:
        return wire.encode(wire.BridgeStatus(state, self.store, self.instance, self.term, self.backlog))

    def place_after(self, said: wire.BridgeStatus) -> None:
        """Take a higher term than one that was seen."""
        self.term = max(self.term, said.term + 1)

    def other(self, said: wire.BridgeStatus) -> bool:
        """Whether it is the word of another bridge that is, or was, there."""
        return said.state == "online" and said.instance != self.instance

    def judge(self, said: wire.BridgeStatus, live: bool) -> Literal["nothing", "repeat", "yield"]:
        """What to do about an announcement on the broker while this bridge has the place: yield it, or say again who
        has it. `live`: it was not a retained one."""
        if not self.other(said):
            mine = said.state == "online" and said.instance == self.instance
            return "nothing" if mine else "repeat"  # a last will that came late must not stand
        if not said.term:  # of a version that knows no terms and would never yield
            return "yield" if live and said.store != self.store and not self.takeover else "repeat"
        return "yield" if (said.term, said.instance) > (self.term, self.instance) else "repeat"


class Probe:
    """Asks, before this bridge takes its place, whether another one is there. A session of its own, so that the other
    one does not lose its sessions by the question."""

    def __init__(
        self,
        broker: settings.Broker,
        client_id: str,
        presence: Presence,
        changed: Callable[[], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._presence, self._changed, self._now = presence, changed, now
        self._lock = threading.Lock()
        self._up_s: float | None = None
        self._asked_s: float | None = None
        self._alive: wire.BridgeStatus | None = None
        self._retained: wire.BridgeStatus | None = None
        self.session = Session(
            broker,
            f"{client_id}-probe",
            listen=[wire.BRIDGE_STATUS],
            level=logging.WARNING,  # that it is connected is no news
            on_up=self._up,
            on_down=self._down,
            on_message=self._heard,
            on_published=self._asked,
        )

    def start(self) -> None:
        self.session.start()

    def stop(self) -> None:
        self.session.stop()

    @property
    def connected(self) -> bool:
        return self._up_s is not None

    def seen(self) -> wire.BridgeStatus | None:
        """The latest word of any bridge that was found."""
        return self._alive or self._retained

    def verdict(self) -> Literal["free", "taken"] | None:
        """None while it is not known."""
        with self._lock:
            now = self._now()
            if self._alive is not None and not self._presence.takeover:
                return "taken"
            if self._asked_s is None:
                unanswered = self._up_s is not None and now - self._up_s > UNANSWERED_S
                return "free" if unanswered else None
            found = self._retained is not None and self._presence.other(self._retained)
            patience = 0.0 if self._presence.takeover else ANSWER_S if found else GRACE_S
            return "free" if now - self._asked_s >= patience else None

    # --- network thread ----------------------------------------------------------------------------------------

    def _up(self, session: Session) -> None:
        """The question follows the subscription on the same connection: before its PUBACK comes what is retained."""
        with self._lock:
            self._up_s, self._asked_s = self._now(), None
        session.publish(wire.BRIDGE_WHO, wire.encode({"instance": self._presence.instance}))

    def _down(self) -> None:
        with self._lock:
            self._up_s = self._asked_s = None

    def _asked(self, _mid: int) -> None:
        with self._lock:
            self._asked_s = self._now()
        self._changed()

    def _heard(self, d: Delivery) -> None:
        try:
            said = wire.decode_bridge_status(d.payload)
        except ValueError:
            return
        with self._lock:
            if d.retained:
                self._retained = said
            elif self._presence.other(said):
                self._alive = said
            elif said.instance != self._presence.instance:  # it says good-bye just now
                self._alive, self._retained = None, said
        self._changed()


class Place:
    """Takes the place among the bridges of a broker, keeps it, and loses it: then `lost_to` says to whom. `publish`
    sends a retained word, `on_lost` is called once, from whatever thread heard of it."""

    def __init__(
        self,
        bridge: settings.Bridge,
        presence: Presence,
        publish: Callable[[bytes], None],
        changed: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._presence, self._publish, self._on_lost = presence, publish, on_lost
        self._probe: Probe | None = Probe(bridge.broker, bridge.client_id, presence, changed)
        self._announced = self._began = -math.inf
        self._ending = False
        self.lost_to: str | None = None

    def word(self, state: Literal["online", "offline"]) -> bytes:
        return self._presence.status(state)

    def start(self) -> None:
        self._began = time.monotonic()
        if self._probe is not None:
            self._probe.start()

    def stop(self) -> None:
        """From now on only a farewell is said."""
        self._ending = True
        if self._probe is not None:
            self._probe.stop()

    def keep(self) -> Literal["asking", "unasked", "won", "kept", "lost"]:
        """To be called again and again: ask until it is known who is there, then say once a minute who has the place,
        since a lost word would stop the backlog. `won` comes once; `unasked` while no broker can be asked."""
        now = time.monotonic()
        if self._probe is None:
            if now - self._announced >= ANNOUNCE_EVERY_S:
                self.announce()
            return "kept"
        verdict = self._probe.verdict()
        if verdict is None:
            return "unasked" if not self._probe.connected and now - self._began > UNASKED_S else "asking"
        probe, self._probe = self._probe, None
        probe.stop()
        other = probe.seen()
        if verdict == "taken":
            store = f"store {other.store}" if other else "another store"
            self._lose(f"another bridge ({store}) is running on this broker. Stop it first, or use --takeover.")
            return "lost"
        if other is not None:
            self._presence.place_after(other)
        return "won"

    def announce(self) -> None:
        if self.lost_to is None and not self._ending:
            self._announced = time.monotonic()
            self._publish(self.word("online"))

    def pause_backlog(self, on: bool) -> None:
        """Tell the devices that they are to keep their backlog, or no longer."""
        self._presence.backlog = PAUSED if on else ""
        self.announce()

    def heard(self, d: Delivery) -> None:
        """A newcomer's question, or a word on which bridge has the place. Our own farewell, too, comes back."""
        if self._ending:
            return
        if d.topic == wire.BRIDGE_WHO:
            if not d.retained:
                self.announce()
            return
        try:
            said = wire.decode_bridge_status(d.payload)
        except ValueError:
            return
        verdict = self._presence.judge(said, not d.retained)
        if verdict == "yield" and self.lost_to is None:
            self._lose(f"another bridge (store {said.store}) has taken over. Nobody is notified by this one any more.")
        elif verdict == "repeat" and time.monotonic() - self._announced >= 1:
            self.announce()
        elif verdict == "repeat":
            self._announced = time.monotonic() - ANNOUNCE_EVERY_S + 1  # soon, but not in a storm

    def _lose(self, why: str) -> None:
        self.lost_to = why
        self._on_lost()
