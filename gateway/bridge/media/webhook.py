"""Webhooks: the notification as JSON, and the signed calls by which services send short messages and dial phones."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable

from gateway import settings
from gateway.bridge.media.http import Answered, call, judged
from gateway.bridge.media.spoken import short, spoken

TIMESTAMP, SIGNATURE = "X-Suimon-Timestamp", "X-Suimon-Signature"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) over timestamp, a dot, and the body, in hexadecimal after `v1=`."""
    return "v1=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class Webhook:
    """POST of the notification as JSON. The key travels as Idempotency-Key, so that a receiver can tell a second
    delivery from a second alert. With a secret each call is signed, its time included, so that nobody can make one up
    or play an old one again."""

    def __init__(self, recipient: settings.Recipient, now_s: Callable[[], float] = time.time) -> None:
        self._to, self._now_s = recipient, now_s

    def content(self, key: str, body: str) -> bytes:
        return body.encode()

    def send(self, key: str, body: str) -> None:
        content = self.content(key, body)
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": key}
        if self._to.token:
            headers["Authorization"] = f"Bearer {self._to.token}"
        if self._to.secret:
            timestamp = str(int(self._now_s()))
            headers |= {TIMESTAMP: timestamp, SIGNATURE: signature(self._to.secret, timestamp, content)}
        try:
            call(self._to.url, content, headers, self._to.timeout_s)
        except Answered as e:
            raise judged(e) from None


class Sms(Webhook):
    """A service that sends short messages: whom, and a text of at most three parts."""

    def content(self, key: str, body: str) -> bytes:
        about = json.loads(body)
        said = {"medium": "sms", "to": self._to.to, "key": key, "language": "ja", "text": short(about)}
        return json.dumps(said, ensure_ascii=False).encode()


class Voice(Webhook):
    """A service that dials: whom, and what is to be spoken. A phone cannot be told quietly: what does not ring reaches
    the same person by their other media, and is neither owed nor dialled."""

    def send(self, key: str, body: str) -> None:
        if json.loads(body).get("rings"):
            super().send(key, body)

    def content(self, key: str, body: str) -> bytes:
        about = json.loads(body)
        said = {
            "medium": "voice",
            "to": self._to.to,
            "key": key,
            "language": "ja",
            "text": spoken(about),
            "episode": about.get("episode", ""),
        }
        return json.dumps(said, ensure_ascii=False).encode()
