"""Is the bridge online? Asks the broker for the retained status, as any device does.

    health.py HOST PORT USER PASSWORD_FILE

Exit code 0 where the status says online. The broker itself says offline (the bridge's last will) once the bridge's
connection is broken for 1.5 keepalives.
"""

import sys
import threading
from pathlib import Path

from gateway import settings, wire
from gateway.mqtt import Delivery, Session

PATIENCE_S = 5.0


def state(broker: settings.Broker) -> str:
    """What the retained status says, or why nothing was heard."""
    heard = threading.Event()
    said: list[bytes] = []

    def note(delivery: Delivery) -> None:
        said.append(delivery.payload)
        heard.set()

    session = Session(broker, "health-bridge", subscribe=[wire.BRIDGE_STATUS], on_message=note)
    session.start()
    heard.wait(PATIENCE_S)
    session.stop()
    return wire.decode_bridge_status(said[0]).state if said else f"no status within {PATIENCE_S:g} s"


if __name__ == "__main__":
    host, port, user, password_file = sys.argv[1:]
    password = Path(password_file).read_text(encoding="utf-8").strip()
    answer = state(settings.Broker(host=host, port=int(port), username=user, password=password))
    print(f"bridge: {answer}")
    sys.exit(answer != "online")
