"""The retained MQTT topic of a station: its current alert state, for whoever may read it."""

from __future__ import annotations

import json
from collections.abc import Callable

from gateway import wire
from gateway.bridge.media.answer import Unreached
from gateway.errors import MediumReason


class AlertTopic:
    def __init__(self, publish: Callable[[str, bytes], bool]) -> None:
        self._publish = publish

    def send(self, key: str, body: str) -> None:
        about = json.loads(body)
        if not self._publish(wire.alert_topic(about["tenant"], about["station"]), body.encode()):
            raise Unreached(MediumReason.UNREACHABLE, "the broker did not acknowledge")
