"""Modbus RTU over a real pseudo-terminal, against simulated sensors that know nothing of pymodbus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import config, settings
from gateway.edge.agent import open_bus
from gateway.edge.buses.modbus_rtu import ModbusRtu
from gateway.errors import FaultCode
from gateway.profiles import decode
from simulators.serialsensors import Broken, ModbusLine, Unit

PROFILE = config.load_profiles(Path("/nonexistent"), [])["sim_river_gauge"]
TIMEOUT_S = 0.15


def registers(level_mm: int) -> dict[int, int]:
    return {0: 0, 1: 17, 2: level_mm, 3: 12610}


@pytest.fixture
def units() -> dict[int, Unit]:
    return {1: Unit(registers(1234)), 2: Unit(registers(2500))}


@pytest.fixture
def line(units: dict[int, Unit]) -> Iterator[ModbusLine]:
    found = ModbusLine(units)
    yield found
    found.close()


@pytest.fixture
def bus(line: ModbusLine) -> Iterator[ModbusRtu]:
    found = open_bus(settings.ModbusRtu(line.port, 9600, "8N1", TIMEOUT_S))
    assert isinstance(found, ModbusRtu)
    yield found
    found.close()


def level(bus: ModbusRtu, unit_id: int = 1) -> object:
    """What a read of a sensor says of the level, or the fault of its bus."""
    raw = bus.read(settings.Sensor("gauge", "kasuga", "line", PROFILE.id, 60.0, unit_id), PROFILE)
    return raw if isinstance(raw, FaultCode) else decode(PROFILE, raw)["water_level"]


def test_several_sensors_share_a_line(bus: ModbusRtu) -> None:
    """Each sensor of a line answers with its own registers, by its unit id."""
    assert [level(bus, unit) for unit in (1, 2, 1, 2)] == [1.234, 2.5, 1.234, 2.5]


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ("no_answer", FaultCode.NO_ANSWER),
        ("late", FaultCode.NO_ANSWER),
        ("wrong_crc", FaultCode.MALFORMED),
        ("garbage", FaultCode.MALFORMED),
        ("half", FaultCode.MALFORMED),
        ("other_unit", FaultCode.MALFORMED),
        ("refuses", FaultCode.REFUSED),
    ],
)
def test_a_broken_sensor_is_its_own_fault(
    bus: ModbusRtu, units: dict[int, Unit], broken: Broken, fault: FaultCode
) -> None:
    """A sensor that is broken is told apart, its neighbour on the line is read, and it comes back by itself."""
    units[1].broken, units[1].late_s = broken, 1.5 * TIMEOUT_S
    assert level(bus, 1) is fault
    units[1].broken = ""
    assert [level(bus, unit) for unit in (2, 1)] == [2.5, 1.234]


def test_a_sensor_that_babbles_does_not_keep_the_thread(bus: ModbusRtu, units: dict[int, Unit]) -> None:
    """Bytes without end are a fault at every read; when they end, the line is in order again."""
    units[1].broken = "babbles"
    assert level(bus, 1) is FaultCode.MALFORMED
    assert level(bus, 2) in (FaultCode.MALFORMED, FaultCode.NO_ANSWER)
    units[1].broken = ""
    assert 2.5 in [level(bus, 2) for _ in range(5)]


def test_a_late_answer_is_never_the_next_reading(bus: ModbusRtu, units: dict[int, Unit]) -> None:
    """What a sensor says after its time-out is thrown away: the next read gets what the sensor says then."""
    units[1].broken, units[1].late_s = "late", 1.5 * TIMEOUT_S
    assert level(bus) is FaultCode.NO_ANSWER
    units[1].broken, units[1].registers = "", registers(3000)
    assert level(bus) == 3.0


def test_a_stuck_sensor_and_one_out_of_range_are_read_as_they_are(bus: ModbusRtu, units: dict[int, Unit]) -> None:
    """The bus judges no value: the same again is the same, and what lies outside the span is for the quality tests."""
    assert level(bus) == level(bus) == 1.234
    units[1].registers = registers(20_000)
    assert level(bus) == 20.0


def test_an_adapter_that_is_pulled_out_comes_back_by_itself(tmp_path: Path) -> None:
    """While the port is gone each read is a bus error; when it is there again, the next read is in order."""
    port = tmp_path / "adapter"
    line = ModbusLine({1: Unit(registers(1234))})
    port.symlink_to(line.port)
    bus = ModbusRtu(settings.ModbusRtu(str(port), 9600, "8N1", TIMEOUT_S))
    try:
        assert level(bus) == 1.234
    finally:
        line.close()
    port.unlink()
    assert [level(bus), level(bus)] == [FaultCode.BUS_ERROR] * 2
    line = ModbusLine({1: Unit(registers(1500))})
    try:
        port.symlink_to(line.port)
        assert level(bus) == 1.5
    finally:
        bus.close()
        line.close()
