"""What the bridge would make of one message, on an empty store. Nothing is stored or sent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway import foreign, settings
from gateway.bridge.work import Memory, Rules, Work
from gateway.clock import SystemClock
from gateway.model import Message
from gateway.stations import Registry


def of(bridge: settings.Bridge, registry: Registry, topic: str, payload: bytes) -> dict[str, Any]:
    """`source` and `device` (null where no source takes the topic), `readings` and `refused`."""
    now_ms = SystemClock().now_ms()
    work = Work(
        Memory("trial"), Rules(registry, bridge, now_ms, now_ms + round(bridge.future_tolerance_s * 1000), None)
    )
    work.take(Message(topic, payload, now_ms))
    found = foreign.found(bridge.sources, topic)
    return {
        "source": found[0].name if found else None,
        "device": found[1] if found else None,
        "readings": [
            {
                "station": o.station,
                "channel": o.channel,
                "at": datetime.fromtimestamp(o.observed_ms / 1000, UTC).isoformat(timespec="milliseconds"),
                "value": o.value,
                "unit": channel.unit,
                "fault": o.fault,
                "flag": int(o.flag),
            }
            for o in work.observations
            if (channel := registry.channel(o.tenant, o.station, o.channel)) is not None
        ],
        "refused": [{"code": x.code.value, "detail": x.detail} for x in work.letters],
    }
