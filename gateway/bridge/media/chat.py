"""Chat services (Slack, Teams, Matrix, …) by Apprise, which knows how each wants to be spoken to."""

from __future__ import annotations

import json
from importlib.util import find_spec

from gateway import settings
from gateway.bridge.media.answer import Refused, Unreached
from gateway.errors import MediumReason

MISSING = "the package for chat services is not installed: pip install 'suimon[chat]'"


def available() -> bool:
    return find_spec("apprise") is not None


def known(address: str) -> bool:
    """Whether Apprise knows the service of an address. It must be available."""
    import apprise

    return bool(apprise.Apprise().add(address))


class Chat:
    """Apprise says only whether it was taken, so everything that was not is tried again for a day."""

    def __init__(self, to: settings.Recipient) -> None:
        self._to = to

    def send(self, key: str, body: str) -> None:
        if not available():
            raise Unreached(MediumReason.UNSENDABLE, MISSING)
        import apprise  # large: only where it is used

        asset = apprise.AppriseAsset(app_id="Suimon", app_desc="水位監視", async_mode=False)
        service = apprise.Apprise(asset=asset)
        if not service.add(self._to.url):
            raise Refused(MediumReason.UNSENDABLE, "its address is none that Apprise knows")
        about = json.loads(body)
        text = f"{about['text']['ja']}\n\n{about['text']['en']}"
        if not service.notify(body=text, title=about["subject"]["ja"], body_format=apprise.NotifyFormat.TEXT):
            raise Unreached(MediumReason.FAILED, "the chat service did not take it")
