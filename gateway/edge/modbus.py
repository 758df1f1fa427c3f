"""What Modbus over TCP and over a serial line have in common: the registers of a profile, block by block."""

from __future__ import annotations

from typing import Any

from gateway.profiles import Profile, Words


def words(client: Any, unit_id: int, profile: Profile) -> Words | None:
    """The registers that the profile needs, by a connected client of pymodbus; None where the sensor refused. Raises
    ModbusException where no good answer came, OSError where the bus broke."""
    found: dict[int, int] = {}
    read = client.read_holding_registers if profile.function == "holding" else client.read_input_registers
    for address, count in profile.blocks():
        answer = read(address, count=count, device_id=unit_id)
        if answer.isError():
            return None
        found.update(zip(range(address, address + count), answer.registers, strict=False))
    return found
