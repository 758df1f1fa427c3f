"""The simplest MQTT-to-InfluxDB bridge that one would write with paho: acknowledged by the library before it is
stored, no store of its own, no quality control, no receipts; lines in batches of 500. Arguments: port, InfluxDB URL,
messages to wait for.
"""

from __future__ import annotations

import json
import sys
import urllib.request

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

PORT, URL, WANTED = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
lines: list[str] = []
seen = 0


def flush() -> None:
    request = urllib.request.Request(f"{URL}/write?db=peer&precision=ms", "\n".join(lines).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30):
        lines.clear()


def on_message(client: paho.Client, _user: object, message: paho.MQTTMessage) -> None:
    global seen
    for record in json.loads(message.payload):
        station = record["bn"].rstrip("/")
        lines.append(f"{record['n']},station={station} value={float(record['v'])} {round(record['bt'] * 1000)}")
    seen += 1
    if len(lines) >= 500 or seen == WANTED:
        flush()
    if seen == WANTED:
        client.disconnect()


client = paho.Client(CallbackAPIVersion.VERSION2, client_id="peer", clean_session=False)
client.on_message = on_message
client.on_connect = lambda c, *_: c.subscribe("suimon/v1/+/+/data", 1)
client.connect("127.0.0.1", PORT, 20)
if WANTED:
    client.loop_forever()
else:  # only make the session, so that the broker keeps messages for it
    client.loop_start()
    while not client.is_connected():
        pass
    client.subscribe("suimon/v1/+/+/data", 1)[1]
    import time

    time.sleep(0.5)
    client.disconnect()
    client.loop_stop()
