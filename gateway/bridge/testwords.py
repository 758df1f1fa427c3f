"""What a test of the call says: that it is one, at the start and the end of everything."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.bridge import wording


def name(at_ms: int) -> str:
    """Of a test, short enough to be said on the telephone."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%dT%H%M%SZ}"


def body(test: str, recipient: str, at_ms: int) -> dict[str, object]:
    """As a notification's body, without a station. The first three lines are what is spoken, the subject is the short
    message: each says what to do."""
    ja = [
        "【通報試験】これは通報試験です。水位の異常ではありません。",
        "届いたことを当直にお知らせください。",
        f"送信 {wording.time_ja(at_ms)}",
        f"宛先 {recipient}、試験番号 {test}【通報試験】",
    ]
    en = [
        "[TEST] This is a test of the call. Nothing is wrong with the water.",
        "Please tell the duty desk that it has arrived.",
        f"Sent {wording.time_en(at_ms)}",
        f"To {recipient}, test {test} [TEST]",
    ]
    return {
        "test": test,
        "rings": True,
        "sent_ms": at_ms,
        "subject": {
            "ja": "【通報試験】水位監視からの試験送信です。届いたら当直へ連絡してください【通報試験】",
            "en": "[TEST] Water level watch: please tell the duty desk that this has arrived [TEST]",
        },
        "text": {"ja": "\n".join(ja), "en": "\n".join(en)},
    }
