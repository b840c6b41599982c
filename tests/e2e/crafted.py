"""Writes logs that say exactly what a test wants said, down to deletion vectors, in the words of the protocol's text."""

from __future__ import annotations

import json
import struct
import uuid
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
BITMAPS_MAGIC = 1_681_511_377
BITMAP_COOKIE = 12_346
ARRAY_MAX = 4_096


def column(name: str, kind: Any, **metadata: Any) -> dict[str, Any]:
    """A nullable column."""
    return {"name": name, "type": kind, "nullable": True, "metadata": metadata}


class Crafted:
    """A table whose log the test dictates."""

    def __init__(
        self,
        path: Path,
        columns: list[dict[str, Any]],
        partitions: tuple[str, ...] = (),
        features: tuple[str, ...] = ("deletionVectors", "columnMapping", "timestampNtz"),
        **configuration: str,
    ) -> None:
        self.path = path
        self.version = -1
        (path / "_delta_log").mkdir(parents=True)
        metadata = {
            "id": str(uuid.uuid4()),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": columns}),
            "partitionColumns": list(partitions),
            "configuration": {name.replace("_", "."): value for name, value in configuration.items()},
            "createdTime": 0,
        }
        features = {"readerFeatures": list(features), "writerFeatures": list(features)}
        self.commit({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7} | features}, {"metaData": metadata})

    def commit(self, *actions: dict[str, Any]) -> None:
        """Writes the next version."""
        self.version += 1
        lines = [{"commitInfo": {"timestamp": 0, "operation": "WRITE"}}, *actions]
        log = self.path / "_delta_log" / f"{self.version:020}.json"
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def file(self, name: str, rows: pa.Table, values: dict[str, Any] | None = None, vector: Any = None, **how: Any) -> Any:
        """Writes a data file and gives the action that adds it."""
        pq.write_table(rows, self.path / name, **how)
        size = (self.path / name).stat().st_size
        added = {"path": name, "partitionValues": values or {}, "size": size, "modificationTime": 0, "dataChange": True}
        if vector is not None:
            added |= {"deletionVector": vector, "stats": json.dumps({"numRecords": rows.num_rows})}
        return {"add": added}

    def vectors(self, *removed: list[int]) -> list[dict[str, Any]]:
        """Writes one file of deletion vectors and refers to each."""
        name, written, found = uuid.uuid4(), b"\x01", []
        for rows in removed:
            body = bitmaps(rows)
            place = {"storageType": "u", "pathOrInlineDv": z85(name.bytes), "offset": len(written)}
            found.append(place | {"sizeInBytes": len(body), "cardinality": len(rows)})
            written += struct.pack(">I", len(body)) + body + struct.pack(">I", zlib.crc32(body))
        (self.path / f"deletion_vector_{name}.bin").write_bytes(written)
        return found


def inline(rows: list[int]) -> dict[str, Any]:
    """A deletion vector that stands in the log itself."""
    body = bitmaps(rows)
    return {"storageType": "i", "pathOrInlineDv": z85(body), "sizeInBytes": len(body), "cardinality": len(rows)}


def bitmaps(rows: list[int]) -> bytes:
    """Row numbers below 2^32 as an array of one portable roaring bitmap."""
    by_key: dict[int, list[int]] = {}
    for row in sorted(rows):
        by_key.setdefault(row >> 16, []).append(row & 0xFFFF)
    head = struct.pack("<IQIII", BITMAPS_MAGIC, 1, 0, BITMAP_COOKIE, len(by_key))
    head += b"".join(struct.pack("<HH", key, len(lows) - 1) for key, lows in by_key.items())
    place, places, bodies = 8 * len(by_key) + 8, b"", b""
    for lows in by_key.values():
        body = container(lows)
        places += struct.pack("<I", place + len(bodies))
        bodies += body
    return head + places + bodies


def container(lows: list[int]) -> bytes:
    """A container of 16-bit numbers: an array, or a bitmap where there are many."""
    if len(lows) <= ARRAY_MAX:
        return struct.pack(f"<{len(lows)}H", *lows)
    bits = bytearray(8_192)
    for low in lows:
        bits[low >> 3] |= 1 << (low & 7)
    return bytes(bits)


def z85(data: bytes) -> str:
    """Bytes as text, four by four."""
    data += b"\0" * (-len(data) % 4)
    text = []
    for start in range(0, len(data), 4):
        number = int.from_bytes(data[start : start + 4], "big")
        text.extend(Z85[number // 85**place % 85] for place in (4, 3, 2, 1, 0))
    return "".join(text)
