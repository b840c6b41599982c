"""Writes Delta tables by hand: Parquet files and a JSON log, as the protocol's text says.

No Delta library takes part, ours or another, so that what offtake reads is judged against the rows that were put
down here. Every row carries `row_id`, which is never repeated, and `commit_version`.
"""

from __future__ import annotations

import copy
import datetime
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

EPOCH = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

ARROW = pa.schema(
    [
        pa.field("row_id", pa.int64(), nullable=False),
        pa.field("commit_version", pa.int64(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("amount", pa.float64()),
        pa.field("made_at", pa.timestamp("us", tz="UTC")),
        pa.field("tags", pa.list_(pa.field("element", pa.string()))),
        pa.field("address", pa.struct([pa.field("city", pa.string()), pa.field("zip", pa.int32())])),
    ]
)

DELTA = {
    "type": "struct",
    "fields": [
        {"name": "row_id", "type": "long", "nullable": False, "metadata": {}},
        {"name": "commit_version", "type": "long", "nullable": False, "metadata": {}},
        {"name": "name", "type": "string", "nullable": True, "metadata": {}},
        {"name": "amount", "type": "double", "nullable": True, "metadata": {}},
        {"name": "made_at", "type": "timestamp", "nullable": True, "metadata": {}},
        {
            "name": "tags",
            "type": {"type": "array", "elementType": "string", "containsNull": True},
            "nullable": True,
            "metadata": {},
        },
        {
            "name": "address",
            "type": {
                "type": "struct",
                "fields": [
                    {"name": "city", "type": "string", "nullable": True, "metadata": {}},
                    {"name": "zip", "type": "integer", "nullable": True, "metadata": {}},
                ],
            },
            "nullable": True,
            "metadata": {},
        },
    ],
}


class DeltaTable:
    """A table that this process alone writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = -1
        self.next_row = 0
        self.live: dict[str, int] = {}
        (path / "_delta_log").mkdir(parents=True)
        self.commit(
            [
                {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
                {
                    "metaData": {
                        "id": str(uuid.uuid4()),
                        "format": {"provider": "parquet", "options": {}},
                        "schemaString": json.dumps(DELTA),
                        "partitionColumns": [],
                        "configuration": {},
                        "createdTime": 1767225600000,
                    }
                },
            ]
        )

    def commit(self, actions: list[dict[str, Any]]) -> int:
        """Writes the next version of the log and gives its number."""
        self.version += 1
        line = {"commitInfo": {"timestamp": 1767225600000 + self.version, "operation": "WRITE"}}
        text = "".join(json.dumps(action) + "\n" for action in [line, *actions])
        log = self.path / "_delta_log" / f"{self.version:020}.json"
        hidden = log.with_suffix(".tmp")
        hidden.write_text(text)
        hidden.rename(log)
        return self.version

    def append(self, rows: int, files: int = 1) -> range:
        """Commits new rows, spread over files, and gives their ids."""
        first = self.next_row
        actions = []
        for ordinal in range(files):
            count = rows // files + (1 if ordinal < rows % files else 0)
            actions.append(self._write(range(self.next_row, self.next_row + count), self.version + 1))
            self.next_row += count
        self.commit(actions)
        return range(first, self.next_row)

    def compact(self) -> None:
        """Rewrites all live files as one without changing a row (`dataChange=false`), as OPTIMIZE does."""
        gone = [
            {"remove": {"path": name, "deletionTimestamp": 1767225600000, "dataChange": False, "size": size}}
            for name, size in self.live.items()
        ]
        rows = pa.concat_tables([pq.read_table(self.path / name) for name in self.live])
        self.live.clear()
        self.commit([*gone, self._put(rows.cast(ARROW), data_change=False)])

    def remove_first_file(self) -> None:
        """Deletes the rows of one file, as DELETE does."""
        name = next(iter(self.live))
        size = self.live.pop(name)
        self.commit([{"remove": {"path": name, "deletionTimestamp": 1767225600000, "dataChange": True, "size": size}}])

    def copy(self, path: Path) -> DeltaTable:
        """The same table at another place; from here on each goes its own way."""
        shutil.copytree(self.path, path)
        other = copy.copy(self)
        other.path, other.live = path, dict(self.live)
        return other

    def files(self) -> list[Path]:
        """The live data files."""
        return [self.path / name for name in self.live]

    def _write(self, ids: range, version: int) -> dict[str, Any]:
        rows = [row(number, version) for number in ids]
        return self._put(pa.Table.from_pylist(rows, schema=ARROW), data_change=True)

    def _put(self, rows: pa.Table, data_change: bool) -> dict[str, Any]:
        # A name made of the content: two tables with the same history have the same files.
        marks = f"{self.version}/{rows['row_id'][0]}/{rows.num_rows}"
        name = f"part-{len(self.live):05}-{uuid.uuid5(uuid.NAMESPACE_OID, marks)}-c000.snappy.parquet"
        pq.write_table(rows, self.path / name, compression="snappy")
        size = (self.path / name).stat().st_size
        self.live[name] = size
        return {
            "add": {
                "path": name,
                "partitionValues": {},
                "size": size,
                "modificationTime": 1767225600000,
                "dataChange": data_change,
                "stats": json.dumps({"numRecords": rows.num_rows}),
            }
        }


def row(number: int, version: int) -> dict[str, Any]:
    """The row of that id; the same for ever."""
    return {
        "row_id": number,
        "commit_version": version,
        "name": None if number % 7 == 0 else f"näme \"{number}\"\n",
        "amount": number / 8,
        "made_at": EPOCH + datetime.timedelta(milliseconds=number),
        "tags": [f"t{number % 3}", None][: number % 3],
        "address": {"city": "Zürich", "zip": number % 100_000},
    }
