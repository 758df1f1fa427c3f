"""A tree of files as the kernel shows its devices under /sys: Linux IIO and hwmon behind an I2C bus, 1-Wire.

The folders stand in `devices`, and `bus` and `class` hold links to them, as at a real kernel; what a file says may be
changed at any time, and each device can be broken. A read that fails is a real one: a link to the memory of this
process, of which the first page cannot be read (EIO); one that is late or hangs is a FIFO.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

Broken = Literal["", "unplugged", "fails", "silent", "garbage", "endless", "hangs", "late", "crc_no", "shorted"]

_W1_RIGHT = "{hex}: crc={crc:02x} YES\n{hex}t={milli}\n"


class Device:
    """One folder of files with what they say. `link` is where the kernel shows it."""

    def __init__(self, folder: Path, link: Path, says: Mapping[str, str], measured: tuple[str, ...]) -> None:
        self.folder, self._link, self._measured = folder, link, measured
        self.says = dict(says)
        self.late_s = 0.0  # of a device that is `late`
        self._writers: list[threading.Thread] = []
        self._over = threading.Event()
        self.be("")

    def say(self, **files: object) -> None:
        """The files say this from now on; '' stands for one that says nothing, None for one that is not there."""
        for name, said in files.items():
            if said is None:
                self.says.pop(name, None)
            else:
                self.says[name] = str(said)
        self.be("")

    def be(self, broken: Broken) -> None:
        """Whole, or broken in one way."""
        self.close()
        self._over = threading.Event()
        self._link.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        if broken == "unplugged":
            return
        self.folder.mkdir(parents=True)
        for name, said in self.says.items():
            path = self.folder / name
            if broken and name in self._measured:
                self._break(path, said, broken)
            else:
                path.write_text(f"{said}\n" if said else "")
        self._link.parent.mkdir(parents=True, exist_ok=True)
        self._link.symlink_to(os.path.relpath(self.folder, self._link.parent))

    def _break(self, path: Path, said: str, broken: Broken) -> None:
        match broken:
            case "fails":
                path.symlink_to("/proc/self/mem")
            case "silent":
                path.write_text("")
            case "garbage":
                path.write_bytes(b"\xff\x00\xa5 12,5 \n")
            case "endless":
                path.write_text("1" * 20_000)
            case "crc_no":
                path.write_text(said.replace("YES", "NO"))
            case "shorted":
                path.write_text(w1_memory(bytes(9), 0))
            case _:
                os.mkfifo(path)
                if broken == "late":
                    writer = threading.Thread(target=self._answer_late, args=(path, said, self._over))
                    self._writers.append(writer)
                    writer.start()

    def _answer_late(self, path: Path, said: str, over: threading.Event) -> None:
        """Each read gets its answer, late; the device is whole for whoever waits."""
        while not over.wait(self.late_s):
            with contextlib.suppress(OSError):  # nobody reads
                fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                os.write(fd, f"{said}\n".encode())
                os.close(fd)

    def close(self) -> None:
        """Whoever still waits for an answer gets an end of file."""
        self._over.set()
        for writer in self._writers:
            writer.join()
        self._writers.clear()
        for name in self._measured:
            path = self.folder / name
            with contextlib.suppress(OSError):
                if path.is_fifo():
                    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


class SysfsTree:
    """Devices under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._devices: list[Device] = []

    def iio(self, number: int, place: str, name: str, says: Mapping[str, str]) -> Device:
        """Device `number` of IIO, `place` on its bus (`1-0076`), `name` as its driver says it."""
        folder = self.root / "devices/platform/soc/i2c-1" / place / f"iio:device{number}"
        link = self.root / f"bus/iio/devices/iio:device{number}"
        return self._added(Device(folder, link, {"name": name, **says}, tuple(says)))

    def hwmon(self, number: int, place: str, name: str, says: Mapping[str, str]) -> Device:
        folder = self.root / "devices/platform/soc/i2c-1" / place / f"hwmon/hwmon{number}"
        return self._added(
            Device(folder, self.root / f"class/hwmon/hwmon{number}", {"name": name, **says}, tuple(says))
        )

    def ds18b20(self, serial: str, celsius: float) -> Device:
        """A sensor of 1-Wire whose number is `28-<serial>`."""
        folder, link = self.root / f"devices/w1_bus_master1/28-{serial}", self.root / f"bus/w1/devices/28-{serial}"
        says = {"name": f"28-{serial}", "w1_slave": ds18b20_says(celsius).rstrip()}
        return self._added(Device(folder, link, says, ("w1_slave",)))

    def _added(self, device: Device) -> Device:
        self._devices.append(device)
        return device

    def close(self) -> None:
        for device in self._devices:
            device.close()


def ds18b20_says(celsius: float) -> str:
    """The file `w1_slave` of a temperature, 12 bits: sixteenths of a degree in the first two bytes."""
    steps = round(celsius * 16)
    memory = steps.to_bytes(2, "little", signed=True) + bytes.fromhex("4b467fff0c10")
    return w1_memory(memory + bytes([w1_crc(memory)]), steps * 1000 // 16 if steps >= 0 else -(-steps * 1000 // 16))


def w1_memory(memory: bytes, milli: int) -> str:
    """The two lines of `w1_slave` for nine bytes of which the CRC is right."""
    return _W1_RIGHT.format(hex=memory.hex(" ") + " ", crc=memory[-1], milli=milli)


def w1_crc(data: bytes) -> int:
    """The CRC-8 of 1-Wire: x^8 + x^5 + x^4 + 1, reflected (Maxim, application note 27)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
    return crc
