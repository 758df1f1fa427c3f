"""The bridge's own screen."""

from __future__ import annotations

import json


class Console:
    """One line on standard output."""

    def send(self, key: str, body: str) -> None:
        subject = json.loads(body)["subject"]
        print(f"{subject['ja']} / {subject['en']}", flush=True)
