"""What a lost connection took with it: the library publishes it again, unless the caller does that itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import settings
from gateway.mqtt import Session
from simulators.faults.proxy import Proxy
from tests import servers

pytestmark = pytest.mark.live


@pytest.mark.parametrize("resend", [True, False])
def test_an_old_payload_comes_again_only_where_it_is_wanted(tmp_path: Path, resend: bool) -> None:
    """Published into a connection that a router forgot, then the connection is lost and made anew. A payload that says
    how old something is would be wrong by then."""
    heard: list[bytes] = []
    with servers.running(servers.mosquitto(tmp_path)) as broker, Proxy(("127.0.0.1", broker.port)) as link:
        listener = Session(
            settings.Broker("127.0.0.1", broker.port),
            "l",
            subscribe=["t"],
            on_message=lambda d: heard.append(d.payload),
        )
        ups: list[int] = []
        session = Session(
            settings.Broker("127.0.0.1", link.port), "s", resend=resend, on_up=lambda _: ups.append(len(ups))
        )
        listener.start()
        session.start()
        try:
            servers.wait_for("both sessions", lambda: listener.subscribed.is_set() and ups)
            link.half_open()
            assert session.publish("t", b"old") is not None
            link.cut()
            servers.wait_for("a second connection", lambda: len(ups) == 2)
            servers.wait_for("a publish", lambda: session.publish("t", b"new") is not None)
            servers.wait_for("the new payload", lambda: b"new" in heard)
            assert heard == ([b"old", b"new"] if resend else [b"new"])
        finally:
            session.stop()
            listener.stop()
