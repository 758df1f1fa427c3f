"""What a test of the call says: that it is one, at the start and the end of everything."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.bridge import wording


def name(at_ms: int) -> str:
    """Of a test, short enough to be said on the telephone."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%dT%H%M%SZ}"


def body(test: str, recipient: str, at_ms: int) -> dict[str, object]:
    """As a notification's body, without a station."""
    ja = [
        "【通報試験】これは通報試験です。水位の異常ではありません。",
        f"宛先 {recipient}",
        f"送信 {wording.time_ja(at_ms)}",
        f"届いたことを当直にお知らせください（試験番号 {test}）。【通報試験】",
    ]
    en = [
        "[TEST] This is a test of the call. Nothing is wrong with the water.",
        f"To {recipient}",
        f"Sent {wording.time_en(at_ms)}",
        f"Please tell the duty desk that it has arrived (test {test}). [TEST]",
    ]
    return {
        "test": test,
        "rings": True,
        "sent_ms": at_ms,
        "subject": {"ja": "【通報試験】水位監視からの試験送信【通報試験】", "en": "[TEST] Water level watch [TEST]"},
        "text": {"ja": "\n".join(ja), "en": "\n".join(en)},
    }
