"""Uplinks of ChirpStack v4 (its documentation, Integrations, Event types, `up`): the JSON of a protobuf message, which
leaves out what is 0 or empty. Other events of a device are none of a sensor's.
"""

from __future__ import annotations

from gateway.codecs import Told, Unreadable, jsontext


def read(payload: bytes) -> tuple[Told, ...]:
    up = jsontext.document(payload)
    said = jsontext.text(up, "time")
    if not said or "deviceInfo" not in up or not ({"fCnt", "data", "object", "fPort", "devAddr"} & up.keys()):
        raise Unreadable("no uplink of ChirpStack v4")
    told = Told(
        payload=jsontext.base64_of(up, "data"),
        document=jsontext.again(up.get("object")),
        at_ms=jsontext.instant(said),
        session=jsontext.session(jsontext.text(up, "devAddr")),
        number=jsontext.counter(up, "fCnt"),
    )
    return (told,)
