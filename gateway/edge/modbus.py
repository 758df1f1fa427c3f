"""What Modbus over TCP and over a serial line have in common: the registers of a profile, block by block."""

from __future__ import annotations

from typing import Any

from pymodbus.exceptions import ModbusException

from gateway.profiles import Profile, Words

FUNCTIONS = {"holding": 3, "input": 4}  # Modbus Application Protocol v1.1b3, sections 6.3 and 6.4


class OtherAnswer(ModbusException):
    """A whole answer with the right address to another question: another function, or not as many registers as were
    asked for. pymodbus does not look at that."""


def words(client: Any, unit_id: int, profile: Profile) -> Words | None:
    """The registers that the profile needs, by a connected client of pymodbus; None where the sensor refused. Raises
    ModbusException where no good answer came (OtherAnswer: to another question), OSError where the bus broke."""
    found: dict[int, int] = {}
    read = client.read_holding_registers if profile.function == "holding" else client.read_input_registers
    for address, count in profile.blocks():
        answer = read(address, count=count, device_id=unit_id)
        if answer.function_code & 0x7F != FUNCTIONS[profile.function]:
            raise OtherAnswer(f"function {answer.function_code}")
        if answer.isError():
            return None
        if len(answer.registers) != count:
            raise OtherAnswer(f"{len(answer.registers)} registers, not {count}")
        found.update(zip(range(address, address + count), answer.registers, strict=True))
    return found
