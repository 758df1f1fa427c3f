"""What Modbus over TCP and over a serial line have in common: the registers of a profile, block by block."""

from __future__ import annotations

from typing import Any

from pymodbus.exceptions import ModbusException

from gateway.profiles import Profile, Words


class WrongLength(ModbusException):
    """An answer to another question: not as many registers as were asked for."""


def words(client: Any, unit_id: int, profile: Profile) -> Words | None:
    """The registers that the profile needs, by a connected client of pymodbus; None where the sensor refused. Raises
    ModbusException where no good answer came (WrongLength: to another question), OSError where the bus broke."""
    found: dict[int, int] = {}
    read = client.read_holding_registers if profile.function == "holding" else client.read_input_registers
    for address, count in profile.blocks():
        answer = read(address, count=count, device_id=unit_id)
        if answer.isError():
            return None
        if len(answer.registers) != count:
            raise WrongLength(f"{len(answer.registers)} registers, not {count}")
        found.update(zip(range(address, address + count), answer.registers, strict=True))
    return found
