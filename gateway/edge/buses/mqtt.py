"""Sensors that publish to a broker at the station: Tasmota, ESPHome, zigbee2mqtt. Each has its topic.

A reading is the newest message that came since the one before, and each message is one reading at most. What the broker
kept (retained) has no time of its own and may be of last week: it is left out. So is what came while nobody listened.
"""

from __future__ import annotations

import secrets
import threading

from gateway import mqtt, settings
from gateway.errors import FaultCode
from gateway.profiles import Profile

MAX_BYTES = 262_144  # of a message that is kept


class Mqtt:
    """A bus. `read` not for several threads at once; messages come on the session's."""

    def __init__(self, bus: settings.Mqtt) -> None:
        self.where = f"{bus.broker.host}:{bus.broker.port}"
        self._bus = bus
        self._session: mqtt.Session | None = None
        self._newest: dict[str, bytes | FaultCode | None] = {}  # of each topic that was ever read
        self._news = threading.Condition()

    def patience_s(self, profile: Profile) -> float:
        """For the first reading; the others wait for nothing."""
        return self._bus.timeout_s + 5.0

    def read(self, sensor: settings.Sensor, profile: Profile) -> bytes | FaultCode:
        """The newest payload, or why there is none. The first reading of a topic waits for one."""
        try:
            session = self._session = self._session or self._opened()
        except (OSError, ValueError):  # a certificate that cannot be used
            return FaultCode.BUS_ERROR
        topic, wait_s = sensor.address, 0.0
        with self._news:
            first = topic not in self._newest
            self._newest.setdefault(topic, None)
        if first:  # not under our lock: the session's thread takes it within locks of its own
            session.listen_to(topic)
            wait_s = self._bus.timeout_s
        with self._news:
            self._news.wait_for(lambda: self._newest[topic] is not None, wait_s)
            found, self._newest[topic] = self._newest[topic], None
        if found is not None:
            return found
        refused = session.refused  # the others of this broker are heard all the same
        granted = topic not in refused if refused else session.subscribed.is_set()
        return FaultCode.NO_ANSWER if granted else FaultCode.BUS_ERROR

    def _opened(self) -> mqtt.Session:
        """A client of its own beside the agent's, and beside another of the same device's for a moment."""
        session = mqtt.Session(self._bus.broker, f"suimon-bus-{secrets.token_hex(4)}", on_message=self._heard)
        session.start()
        return session

    def _heard(self, delivery: mqtt.Delivery) -> None:
        if delivery.retained:
            return
        with self._news:
            if delivery.topic in self._newest:
                short = len(delivery.payload) <= MAX_BYTES
                self._newest[delivery.topic] = delivery.payload if short else FaultCode.MALFORMED
                self._news.notify_all()

    def close(self) -> None:
        session, self._session = self._session, None
        self._newest.clear()
        if session is not None:
            session.stop()
