"""How long it takes to know a large table's files, and to plan a delivery of them: the first steps of every delivery.

Usage: python planning.py <offtake's survey> <offtake's plan> <folder for tables>; prints one JSON line a measurement.

The tables have a log and no data: a checkpoint with that many files, statistics of three columns each, then a hundred
commits of one file. No program can know them without reading that log; none needs to read a data file.
"""

import json
import os
import shutil
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq

CHECKPOINT = 100
COMMITS = 100
ROUNDS = 3
PIECE = 100_000

SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": name, "type": kind, "nullable": True, "metadata": {}}
        for name, kind in [("row_id", "long"), ("amount", "double"), ("city", "string")]
    ],
}
PROTOCOL = {"minReaderVersion": 1, "minWriterVersion": 2}
METADATA = {
    "id": "0c6c8f6e-0000-4000-8000-000000000001",
    "format": {"provider": "parquet", "options": {}},
    "schemaString": json.dumps(SCHEMA),
    "partitionColumns": [],
    "configuration": {},
    "createdTime": 0,
}

TEXTS = pa.map_(pa.string(), pa.string())
ACTIONS = pa.schema(
    [
        ("protocol", pa.struct([("minReaderVersion", pa.int32()), ("minWriterVersion", pa.int32())])),
        (
            "metaData",
            pa.struct(
                [
                    ("id", pa.string()),
                    ("format", pa.struct([("provider", pa.string()), ("options", TEXTS)])),
                    ("schemaString", pa.string()),
                    ("partitionColumns", pa.list_(pa.string())),
                    ("configuration", TEXTS),
                    ("createdTime", pa.int64()),
                ]
            ),
        ),
        (
            "add",
            pa.struct(
                [
                    ("path", pa.string()),
                    ("partitionValues", TEXTS),
                    ("size", pa.int64()),
                    ("modificationTime", pa.int64()),
                    ("dataChange", pa.bool_()),
                    ("stats", pa.string()),
                ]
            ),
        ),
        ("remove", pa.struct([("path", pa.string()), ("dataChange", pa.bool_())])),
    ]
)


def add(number):
    low, high = number * 1000, number * 1000 + 999
    stats = {
        "numRecords": 1000,
        "minValues": {"row_id": low, "amount": low / 7, "city": "Berlin"},
        "maxValues": {"row_id": high, "amount": high / 7, "city": "Zürich"},
        "nullCount": {"row_id": 0, "amount": 3, "city": 0},
    }
    return {
        "path": f"part-{number:07d}-4f1c2d3e-0000-4000-8000-{number:012x}-c000.snappy.parquet",
        "partitionValues": {},
        "size": 9_000_000 + number,
        "modificationTime": 1_790_000_000_000 + number,
        "dataChange": True,
        "stats": json.dumps(stats, ensure_ascii=False),
    }


def make(table, files):
    """Writes the table's log unless it is there."""
    log = os.path.join(table, "_delta_log")
    if os.path.exists(os.path.join(log, "_last_checkpoint")):
        return
    shutil.rmtree(table, ignore_errors=True)
    os.makedirs(log)
    place = os.path.join(log, f"{CHECKPOINT:020d}.checkpoint.parquet")
    with pq.ParquetWriter(place, ACTIONS) as writer:
        first = [{"protocol": PROTOCOL}, {"metaData": {**METADATA, "format": {"provider": "parquet", "options": {}}}}]
        writer.write_table(pa.Table.from_pylist(first, ACTIONS))
        for begin in range(0, files, PIECE):
            rows = [{"add": add(number)} for number in range(begin, min(begin + PIECE, files))]
            writer.write_table(pa.Table.from_pylist(rows, ACTIONS))
    for commit in range(COMMITS):
        with open(os.path.join(log, f"{CHECKPOINT + 1 + commit:020d}.json"), "w") as out:
            out.write(json.dumps({"commitInfo": {"operation": "WRITE", "timestamp": 0}}) + "\n")
            out.write(json.dumps({"add": add(files + commit)}) + "\n")
    with open(os.path.join(log, "_last_checkpoint"), "w") as out:
        json.dump({"version": CHECKPOINT, "size": files + 2}, out)


def said(*call):
    return json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)


def tell(**figures):
    print(json.dumps(figures), flush=True)


def list_files(survey, folder):
    """Only listing, in a process of its own."""
    for files, after in [(10_000, None), (10_000, CHECKPOINT + COMMITS), (1_000_000, None)]:
        call = [survey, folder, f"planning-{files}"] + ([] if after is None else [str(after)])
        for _ in range(ROUNDS):
            found = said(*call)
            tell(table=files, asked="the whole table" if after is None else "nothing new", **found)
            expected = files + COMMITS if after is None else 0
            if found["files"] != expected:
                raise SystemExit(f"{expected} files expected")


def plan_delivery(plan, folder):
    """From the listing to the plan read again from a store, each step with its own peak."""
    for files in (10_000, 1_000_000):
        for _ in range(ROUNDS):
            figures = said(plan, folder, f"planning-{files}", os.path.join(folder, "store"))
            for step in figures["steps"]:
                tell(table=files, **step)
            seconds = round(sum(step["seconds"] for step in figures["steps"]), 3)
            tell(table=files, step="all", seconds=seconds, tasks=figures["tasks"], store_bytes=figures["store_bytes"])


def main():
    survey, plan, folder = sys.argv[1:]
    for files in (10_000, 1_000_000):
        make(os.path.join(folder, f"planning-{files}"), files)
    list_files(survey, folder)
    plan_delivery(plan, folder)


if __name__ == "__main__":
    main()
