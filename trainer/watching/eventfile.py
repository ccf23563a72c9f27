"""TensorBoard's event files, written without TensorFlow: records of numbers by tag and step.

A record is its length, a checksum of that, the message, and a checksum of it (TFRecord); the
message is an ``Event`` in protobuf's wire format.
"""

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path

_POLYNOMIAL = 0x82F63B78  # CRC-32C, reflected


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def _masked_crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _event(step: int, body: bytes) -> bytes:
    """Event: wall_time (1, double), step (2, varint), and one of its contents."""
    return b"\x09" + struct.pack("<d", time.time()) + b"\x10" + _varint(step) + body


class EventFile:
    """A file of one sitting of a run."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.6f}.{os.getpid()}"
        self.file = (folder / name).open("wb")
        self._record(_event(0, _bytes(3, b"brain.Event:2")))  # file_version

    def add(self, numbers: Mapping[str, float], step: int) -> None:
        """Write numbers by tag at a step."""
        values = b"".join(
            _bytes(1, _bytes(1, tag.encode()) + b"\x15" + struct.pack("<f", number))
            for tag, number in numbers.items()
        )  # Summary.value: tag (1), simple_value (2, float)
        self._record(_event(step, _bytes(5, values)))

    def _record(self, message: bytes) -> None:
        length = struct.pack("<Q", len(message))
        self.file.write(
            length + struct.pack("<I", _masked_crc(length))
            + message + struct.pack("<I", _masked_crc(message))
        )  # fmt: skip
        self.file.flush()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
