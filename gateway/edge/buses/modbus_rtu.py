"""Modbus RTU on a serial line, through pymodbus and pyserial. Several sensors may share the line; one that does not
answer costs the others its time-outs.

An answer over a serial line names its sensor and not its question (Modbus over Serial Line v1.02, section 2.5.1): one
that comes late could be taken for the next one's. So a read that failed waits its time-out once more, and what came
meanwhile is thrown away with the open line; that also brings back an adapter that was unplugged.
"""

from __future__ import annotations

import logging
import time

from pymodbus.client import ModbusSerialClient
from pymodbus.exceptions import ConnectionException, ModbusException

from gateway import settings
from gateway.edge import modbus
from gateway.errors import FaultCode
from gateway.profiles import Profile, Words

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # it reports to its log what it returns to us


class ModbusRtu:
    """A bus. Not for several threads at once."""

    def __init__(self, bus: settings.ModbusRtu) -> None:
        self.where = bus.port
        self._timeout_s = bus.timeout_s
        self._heard = False  # whether anything came since a read began
        self._client = ModbusSerialClient(
            bus.port,
            baudrate=bus.baud,
            bytesize=int(bus.format[0]),
            parity=bus.format[1],
            stopbits=int(bus.format[2]),
            timeout=bus.timeout_s,
            retries=0,
            trace_packet=self._trace,
        )

    def patience_s(self, profile: Profile) -> float:
        """To send and wait for each block, with what goes on arriving until the time-out and after it; and the
        silence behind a failure."""
        return self._timeout_s * (2 + 3 * len(profile.blocks()))

    def read(self, sensor: settings.Sensor, profile: Profile) -> Words | FaultCode:
        """The registers that the profile needs, or why there are none: `malformed` where bytes came that are no answer
        (a wrong CRC, half a frame, noise), `no_answer` where none came."""
        self._heard = False
        try:
            if not self._client.connect():
                return FaultCode.BUS_ERROR
            words = modbus.words(self._client, sensor.unit_id, profile)
        except ConnectionException:
            return self._broken()
        except ModbusException:
            time.sleep(self._timeout_s)
            self.close()
            return FaultCode.MALFORMED if self._heard else FaultCode.NO_ANSWER
        except OSError:
            return self._broken()
        return FaultCode.REFUSED if words is None else words

    def _trace(self, sending: bool, data: bytes) -> bytes:
        self._heard = self._heard or (not sending and bool(data))
        return data

    def _broken(self) -> FaultCode:
        self.close()
        return FaultCode.BUS_ERROR

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]
