"""Sensors that a driver of the kernel reads, each a folder of files under /sys: Linux IIO, hwmon, 1-Wire.

The number in `iio:device0` changes with every start and with every device, so a device is found by what stays: the file
`name` in its folder, or a part of its place in the tree of devices (`1-0076` is address 76 at I2C bus 1, `28-…` the
number that is burnt into a 1-Wire sensor). A number is one file (Linux, Documentation/ABI/testing/sysfs-bus-iio,
Documentation/hwmon/sysfs-interface.rst, Documentation/w1/slaves/w1_therm.rst).

A driver measures while its file is read, and nothing ends a read that hangs in the kernel. So each is made on a thread
that may be left behind: its sensor is not asked again before it returns, and its neighbours are.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from gateway import settings
from gateway.encodings import named
from gateway.encodings.named import Named
from gateway.errors import FaultCode
from gateway.profiles import Asked, Profile

MAX_BYTES = 4096  # a file of sysfs is one page at most
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?")
# Nine bytes of the sensor's memory, the CRC as the driver reckons it and whether it is right; then what was right last.
_W1 = re.compile(r"((?:[0-9a-f]{2} ){9}): crc=[0-9a-f]{2} (yes|no)\n(?:[0-9a-f]{2} ){9}t=(-?[0-9]{1,6})", re.I)
_OF_CHANNEL = re.compile(r"(in_[a-z]+)[0-9]+(_scale|_offset)")
_FAULTS = {
    errno.EACCES: FaultCode.BUS_ERROR,
    errno.EPERM: FaultCode.BUS_ERROR,
    errno.EINVAL: FaultCode.REFUSED,
    errno.ENODATA: FaultCode.REFUSED,
    errno.EISDIR: FaultCode.REFUSED,
}  # whatever else a read fails with, its sensor did not answer: EIO, EREMOTEIO, ENXIO, ENODEV, ETIMEDOUT


class Sysfs:
    """A bus. `read` not for several threads at once."""

    def __init__(self, bus: settings.Sysfs) -> None:
        self.where = str(bus.root)
        self._bus = bus
        self._last: dict[str, threading.Thread] = {}  # the read of each sensor; one that hangs is still alive

    def patience_s(self, profile: Profile) -> float:
        """For all files of a sample."""
        return self._bus.timeout_s + 1.0

    def read(self, sensor: settings.Sensor, profile: Profile) -> Named | FaultCode:
        """The numbers in the files that the profile names, without those that are not there; or why there are none."""
        last = self._last.get(sensor.name)
        if last is not None and last.is_alive():
            return FaultCode.NO_ANSWER
        said: list[Named | FaultCode] = []  # of this read alone, so that what comes late is never the next one's

        def ask() -> None:
            said.append(_sample(self._bus.root, profile, sensor.address))

        self._last[sensor.name] = thread = threading.Thread(target=ask, name=f"sysfs {sensor.name}", daemon=True)
        thread.start()
        thread.join(self._bus.timeout_s)
        return said[0] if said else FaultCode.NO_ANSWER

    def close(self) -> None:
        """No file stays open between two reads. One that hangs ends with the process."""


def devices(root: Path, asked: Asked, address: str) -> list[Path]:
    """The folders of the devices that fit, as there are at this moment."""
    try:
        found = sorted(root.glob(asked.folder))
    except OSError:
        return []
    return [folder for folder in found if _fits(root, folder, asked, address)]


def label(folder: Path) -> str:
    """What the file `name` says of a device; empty where there is none."""
    return _line(folder / "name")


def _fits(root: Path, folder: Path, asked: Asked, address: str) -> bool:
    if asked.device and label(folder) != asked.device:
        return False
    if not address:
        return True
    try:
        place = folder.resolve().relative_to(root.resolve()).parts
    except (OSError, ValueError):  # gone meanwhile; a link that leads elsewhere
        place = folder.parts
    return address in place or address in (label(folder), _line(folder / "label"))


def _line(path: Path) -> str:
    said = _content(path)
    return said.strip() if isinstance(said, str) else ""


def _sample(root: Path, profile: Profile, address: str) -> Named | FaultCode:
    folders = devices(root, profile.asked, address)
    if len(folders) != 1:
        there = root.joinpath(*_fixed(profile.asked.folder)).is_dir()
        return FaultCode.NO_ANSWER if there and not folders else FaultCode.BUS_ERROR
    numbers: dict[str, float] = {}
    for name in dict.fromkeys(_files(profile)):
        said = _content(folders[0] / name)
        whole = _OF_CHANNEL.fullmatch(name)
        if said is None and whole:  # one for all channels
            said = _content(folders[0] / "".join(whole.groups()))
        if said is None:
            continue
        number = said if isinstance(said, FaultCode) else _number(said)
        if isinstance(number, FaultCode):
            return number
        numbers[name] = number
    return numbers if numbers or folders[0].is_dir() else FaultCode.NO_ANSWER


def _fixed(pattern: str) -> Iterator[str]:
    """The folders before the first pattern: where they are missing, no such driver is loaded."""
    for part in pattern.split("/"):
        if set(part) & set("*?["):
            return
        yield part


def _files(profile: Profile) -> Iterator[str]:
    for at in (*(value.at for value in profile.values), *(status.at for status in profile.status)):
        if isinstance(at, named.At):
            yield at.name
            if at.times:
                yield at.times


def _content(path: Path) -> str | FaultCode | None:
    """What the file says; None where there is no such file."""
    data = b""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while piece := os.read(fd, MAX_BYTES):
                data += piece
                if len(data) > MAX_BYTES:
                    return FaultCode.MALFORMED
        finally:
            os.close(fd)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        return _FAULTS.get(e.errno or 0, FaultCode.NO_ANSWER)
    return data.decode("ascii", "replace")


def _number(said: str) -> float | FaultCode:
    """The number of a file. `w1_therm` says nothing where nobody answered; a data line that is shorted to ground reads
    as zeros, of which the CRC is right."""
    if not said.strip("\0 \n"):
        return FaultCode.NO_ANSWER
    if _NUMBER.fullmatch(said.strip("\0 \n")):
        return float(said.strip("\0 \n"))
    found = _W1.fullmatch(said.strip("\0 \n"))
    if found is None or found[2].lower() == "no":
        return FaultCode.MALFORMED
    return float(found[3]) if any(bytes.fromhex(found[1])) else FaultCode.BUS_ERROR
