"""A simulated GPS receiver on a pseudo-terminal: what one says each second by NMEA 0183, standing, driving or without a
fix. It makes sentences and checksums by itself, so it can share no mistake with what reads them (fields of RMC and GGA
as in the recordings that the profile gps_nmea names).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from simulators.serialsensors import Speaker

KNOT = 1852 / 3600  # in m/s


@dataclass(frozen=True, slots=True)
class Fix:
    """Degrees, north and east; m/s."""

    latitude: float
    longitude: float
    speed: float


def sealed(content: bytes) -> bytes:
    """`$`, the content, `*` and the exclusive or of its bytes."""
    return b"$%b*%02X\r\n" % (content, reduce(lambda x, y: x ^ y, content))


def _angle(degrees: float, width: int, letters: str) -> str:
    hundred_thousandths = round(abs(degrees) * 60 * 100_000)  # of a minute
    whole, rest = divmod(hundred_thousandths, 60 * 100_000)
    return f"{whole:0{width}d}{rest // 100_000:02d}.{rest % 100_000:05d},{letters[degrees < 0]}"


def _place(fix: Fix) -> str:
    return f"{_angle(fix.latitude, 2, 'NS')},{_angle(fix.longitude, 3, 'EW')}"


def rmc(talker: str, fix: Fix | None) -> bytes:
    """Position and speed; `V` and nothing where there is no fix."""
    if fix is None:
        return sealed(f"{talker}RMC,092751.00,V,,,,,,,280526,,,N".encode())
    said = f"{talker}RMC,092751.00,A,{_place(fix)},{fix.speed / KNOT:.3f},31.66,280526,,,A"
    return sealed(said.encode())


class Receiver(Speaker):
    """A receiver. `drives` is by how much it is further north and east each time it speaks."""

    def __init__(self, fix: Fix | None, talker: str = "GP", drives: tuple[float, float] = (0.0, 0.0)) -> None:
        self._fix, self._talker, self._drives = fix, talker, drives
        super().__init__(self._sentences(), every_s=0.05)

    def _put(self, data: bytes) -> None:
        super()._put(data)
        if self._fix is not None and any(self._drives):
            north, east = self._drives
            self._fix = Fix(self._fix.latitude + north, self._fix.longitude + east, self._fix.speed)
            self.says = self._sentences()

    def _sentences(self) -> bytes:
        """One second: what others say of the position, the satellites, the position."""
        place = f"{_place(self._fix)},1,8" if self._fix else ",,,,0,0"
        return b"".join(
            (
                sealed(f"{self._talker}GGA,092751.00,{place},1.03,61.7,M,55.3,M,,".encode()),
                sealed(f"{self._talker}GSV,1,1,02,10,63,137,17,07,61,098,15".encode()),
                rmc(self._talker, self._fix),
                sealed(f"{self._talker}VTG,31.66,T,,M,0.06,N,0.11,K,A".encode()),
            )
        )
