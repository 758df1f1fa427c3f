"""LINE Messaging API: a push message to a user, group or room.

Source: LINE Developers, Messaging API reference, "Send push message" and "Retry a failed API request": the same retry
key is accepted once, and answered with 409 after that.
"""

from __future__ import annotations

import json
import uuid

from gateway import settings
from gateway.bridge.media.answer import Refused
from gateway.bridge.media.http import Answered, call, judged
from gateway.errors import MediumReason

PUSH = "/v2/bot/message/push"
LONGEST = 5000  # characters of a text message
_NAMESPACE = uuid.UUID("6f2a1a52-2c0e-5c3a-9d0a-2f6c1e7b9a10")  # of our keys; any that stays the same


class Line:
    def __init__(self, to: settings.Recipient) -> None:
        self._to = to

    def send(self, key: str, body: str) -> None:
        about = json.loads(body)
        text = f"{about['subject']['ja']}\n{about['text']['ja']}"[:LONGEST]
        quiet = not about.get("rings")
        said = {"to": self._to.to, "messages": [{"type": "text", "text": text}], "notificationDisabled": quiet}
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Authorization": f"Bearer {self._to.token}",
            "X-Line-Retry-Key": str(uuid.uuid5(_NAMESPACE, key)),
        }
        try:
            call(
                self._to.url.rstrip("/") + PUSH,
                json.dumps(said, ensure_ascii=False).encode(),
                headers,
                self._to.timeout_s,
            )
        except Answered as e:
            if e.status == 409:  # it was accepted before
                return
            if e.status == 429 and "monthly limit" in e.said:
                raise Refused(MediumReason.OVER_QUOTA, "LINE says that the month's messages are used up") from None
            raise judged(e) from None
