"""Modbus TCP, through pymodbus. One connection a bus; a sensor that does not answer costs one time-out."""

from __future__ import annotations

import logging

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from gateway import settings
from gateway.edge import modbus
from gateway.errors import FaultCode
from gateway.profiles import Profile, Words

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # it reports to its log what it returns to us


class ModbusTcp:
    """A bus. Not for several threads at once."""

    def __init__(self, bus: settings.ModbusTcp) -> None:
        self.where = f"{bus.host}:{bus.port}"
        self._timeout_s = bus.timeout_s
        self._client = ModbusTcpClient(bus.host, port=bus.port, timeout=bus.timeout_s, retries=0)

    def patience_s(self, profile: Profile) -> float:
        """To connect, and for each block twice: a peer that begins to answer has its time-out once more."""
        return self._timeout_s * (1 + 2 * len(profile.blocks()))

    def read(self, sensor: settings.Sensor, profile: Profile) -> Words | FaultCode:
        """The registers that the profile needs, or why there are none."""
        try:
            if not self._client.connected and not self._client.connect():  # type: ignore[no-untyped-call]
                return FaultCode.BUS_ERROR
            words = modbus.words(self._client, sensor.unit_id, profile)
        except ModbusException as e:
            # A late answer would be taken for the next one's: begin again on a new connection.
            self._client.close()  # type: ignore[no-untyped-call]
            return FaultCode.MALFORMED if isinstance(e, modbus.OtherAnswer) else FaultCode.NO_ANSWER
        except OSError:
            self._client.close()  # type: ignore[no-untyped-call]
            return FaultCode.BUS_ERROR
        return FaultCode.REFUSED if words is None else words

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]
