"""Uplinks of The Things Stack v3 (its documentation, Data formats, Uplink messages). `f_cnt` and `f_port` are left out
where they are 0; the session is named by its key, so that a device that joined anew counts anew.
"""

from __future__ import annotations

from gateway.codecs import Told, Unreadable, jsontext


def read(payload: bytes) -> tuple[Told, ...]:
    message = jsontext.document(payload)
    if "uplink_message" not in message:
        raise Unreadable("no uplink of The Things Stack v3")
    up, ids = jsontext.part(message, "uplink_message"), jsontext.part(message, "end_device_ids")
    said = jsontext.text(up, "received_at") or jsontext.text(message, "received_at")
    if not said:
        raise Unreadable("received_at is missing")
    session = jsontext.text(up, "session_key_id") or jsontext.text(ids, "dev_addr")
    told = Told(
        payload=jsontext.base64_of(up, "frm_payload"),
        document=jsontext.again(up.get("decoded_payload")),
        at_ms=jsontext.instant(said),
        session=jsontext.session(session),
        number=jsontext.counter(up, "f_cnt"),
    )
    return (told,)
