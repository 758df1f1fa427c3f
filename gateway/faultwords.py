"""What to look at where a bus gave no reading: by the kind of bus and the fault, for whoever stands beside it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway import settings
from gateway.errors import FaultCode

_PORT = "is the adapter there (`ls /dev/serial/by-id`), may you open it (group dialout), has the agent got it?"
_REGISTERS = "has this model such registers, holding or input? A datasheet's 40001 or 30001 is address 0"
_REMEDIES: Mapping[type, Mapping[FaultCode, str]] = {
    settings.ModbusTcp: {
        FaultCode.BUS_ERROR: "host and port, power, cable; some sensors take one connection only: stop the agent",
        FaultCode.NO_ANSWER: "the unit id; does it want longer than 'timeout'?",
        FaultCode.REFUSED: _REGISTERS,
    },
    settings.ModbusRtu: {
        FaultCode.BUS_ERROR: _PORT,
        FaultCode.NO_ANSWER: "the unit id, baud and format, wires A and B (exchange them once), power",
        FaultCode.MALFORMED: "baud and format, two sensors with one unit id, a second master, an adapter that echoes",
        FaultCode.REFUSED: _REGISTERS,
    },
    settings.Serial: {
        FaultCode.BUS_ERROR: _PORT,
        FaultCode.NO_ANSWER: "power, wires TX and RX; does it wait for a question ('asked: {send: …}' in its profile)?",
        FaultCode.MALFORMED: "baud and format (RS-232 or TTL inverted?), and whether it is this model in this mode",
    },
    settings.Sdi12: {
        FaultCode.BUS_ERROR: _PORT,
        FaultCode.NO_ANSWER: "the address, the wire, 12 V, and that the adapter is a transparent one",
        FaultCode.MALFORMED: "baud and format of the adapter, two sensors at one address, a CRC that it does not know",
        FaultCode.REFUSED: "has this model the measurement that 'asked: {measure: …}' names?",
        FaultCode.SENSOR_ERROR: "power of the sensor; it broke its measurement off",
    },
    settings.Http: {
        FaultCode.BUS_ERROR: "host and port, power, cable; with TLS, whether 'ca_file' is its authority",
        FaultCode.NO_ANSWER: "is the device busy, does it want longer than 'timeout'?",
        FaultCode.REFUSED: "the path ('--address'), and who asks: 'username', 'password_file', 'token_file'",
        FaultCode.SENSOR_ERROR: "the device's own log: it answers with an error",
        FaultCode.MALFORMED: "does a browser show JSON at this path?",
    },
    settings.Mqtt: {
        FaultCode.BUS_ERROR: "host, port, user name and password of the broker, and its ACL",
        FaultCode.NO_ANSWER: "the topic, letter by letter; does the sensor publish within 'timeout'; the broker's ACL",
    },
}


def remedy(bus: settings.Bus, fault: FaultCode) -> str:
    """What to look at first."""
    return _REMEDIES.get(type(bus), {}).get(fault, "device_profiles/README.md, the chapter of this bus")
