"""How people are reached: one file for each medium."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from gateway import settings
from gateway.bridge.media.answer import Medium, Refused, Unreached
from gateway.bridge.media.chat import Chat
from gateway.bridge.media.console import Console
from gateway.bridge.media.lamp import Keeper, Lamp, Series
from gateway.bridge.media.line import Line
from gateway.bridge.media.mail import MailMedium
from gateway.bridge.media.topic import AlertTopic
from gateway.bridge.media.webhook import Sms, Voice, Webhook
from gateway.disk import DISK, Disk

__all__ = ["AlertTopic", "Keeper", "Lamp", "Medium", "Refused", "Unreached", "medium_of"]


def medium_of(
    to: settings.Recipient, store: Path, disk: Disk = DISK, watched: Collection[Series] | None = None
) -> Medium:
    """What delivers to a recipient. `store`, and in it the channels that are `watched`, is what a lamp looks at."""
    match to.medium:
        case "console":
            return Console()
        case "webhook":
            return Webhook(to)
        case "sms":
            return Sms(to)
        case "voice":
            return Voice(to)
        case "mail":
            return MailMedium(to)
        case "line":
            return Line(to)
        case "chat":
            return Chat(to)
        case "lamp":
            return Lamp(to, store, disk, watched)
