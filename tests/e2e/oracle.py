"""Judges what was delivered: manifests and folders as a consumer finds them, rows as somebody else's reader reads them.

The law it holds offtake to: over the manifests of a flow every row of the source stands exactly once, and what is
visible in the folder is what manifests name, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

# Instants are compared as instants wherever the tests run.
duckdb.execute("SET TimeZone = 'UTC'")


@dataclass
class Delivered:
    """A manifest and where it lies."""

    path: Path
    body: dict[str, Any]

    @property
    def root(self) -> Path:
        """The folder that keys are relative to: the tenant's zone."""
        for folder in self.path.parents:
            if all((folder / file["key"]).is_file() for file in self.body["files"]):
                return folder
        raise AssertionError(f"{self.path} names files that are not there: {self.body['files']}")

    def files(self) -> list[Path]:
        """The data files that it names, in task order."""
        return [self.root / file["key"] for file in self.body["files"]]

    def fingerprint(self) -> list[tuple[int, int, str]]:
        """Task, rows and digest of each file: what must not depend on how often we crashed."""
        return [(task, file["rows"], file["sha256"]) for task, file in enumerate(self.body["files"])]


def manifests(zone: Path) -> list[Delivered]:
    """Every manifest of ours below the folder, in the order of the deliveries."""
    found = [Delivered(path, json.loads(path.read_bytes())) for path in zone.rglob("*.manifest")]
    return sorted(found, key=lambda it: (it.body["dataset"], it.body["seq"]))


def check_files(delivered: Delivered) -> None:
    """Every file has the size, digest and number of rows that the manifest says."""
    body = delivered.body
    for path, file in zip(delivered.files(), body["files"], strict=True):
        data = path.read_bytes()
        assert len(data) == file["size"], path
        assert hashlib.sha256(data).hexdigest() == file["sha256"], path
        assert count_rows([path]) == file["rows"], path
    assert sum(file["rows"] for file in body["files"]) == body["totalRows"]
    assert sum(file["size"] for file in body["files"]) == body["totalBytes"]


def relation(paths: Iterable[Path]) -> duckdb.DuckDBPyRelation:
    """The rows of the files, as DuckDB reads them."""
    names = [str(path) for path in paths]
    if names[0].endswith(".parquet"):
        return duckdb.read_parquet(names)
    return duckdb.read_json(names, format="newline_delimited")


def count_rows(paths: list[Path]) -> int:
    """How many rows there are."""
    return relation(paths).aggregate("count(*)").fetchone()[0] if paths else 0


def row_ids(delivered: Delivered) -> list[int]:
    """The ids of the delivered rows. Parquet is read by PyArrow, JSON by DuckDB."""
    files = delivered.files()
    if not files:
        return []
    if files[0].name.endswith(".parquet"):
        return [number for path in files for number in pq.read_table(path, columns=["row_id"])["row_id"].to_pylist()]
    return [number for (number,) in relation(files).select("row_id").fetchall()]


def check_exactly_once(found: list[Delivered], expected: Iterable[int]) -> None:
    """Over all manifests every expected row stands once, and no other."""
    counts = Counter(number for delivered in found for number in row_ids(delivered))
    wanted = set(expected)
    twice = [number for number, times in counts.items() if times > 1]
    lost = wanted - counts.keys()
    foreign = counts.keys() - wanted
    assert not twice and not lost and not foreign, (
        f"{len(twice)} rows delivered twice, {len(lost)} lost, {len(foreign)} foreign; "
        f"for example {sorted(twice)[:3]}, {sorted(lost)[:3]}, {sorted(foreign)[:3]}"
    )


def check_tiled(found: list[Delivered]) -> None:
    """The deliveries of a flow and dataset follow each other without gap or overlap."""
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for delivered in found:
        body = delivered.body
        before = last.get((body["flow"], body["dataset"]))
        if before is not None:
            assert body["seq"] == before["seq"] + 1, (before["seq"], body["seq"])
            assert body["from"] == before["to"], (before["to"], body["from"])
        last[body["flow"], body["dataset"]] = body


def visible(zone: Path) -> set[Path]:
    """The data files that a consumer who lists the folder sees."""
    found = set()
    for path in zone.rglob("*"):
        hidden = any(part.startswith((".", "_")) for part in path.relative_to(zone).parts)
        if not hidden and path.is_file():
            found.add(path)
    return found


def staged(zone: Path) -> set[Path]:
    """Files that are there without being meant for a consumer: neither data files nor manifests."""
    return {path for path in zone.rglob("*") if path.is_file() and not path.name.endswith(".manifest")} - visible(zone)


def check_folder(zone: Path, found: list[Delivered]) -> None:
    """A consumer who lists the folder sees the files of the manifests and nothing else."""
    named = {path for delivered in found for path in delivered.files()}
    documented = {path for path in visible(zone) if path.name.startswith("manifest-")}
    assert visible(zone) - documented == named


class Watcher:
    """Lists the folder all the time and remembers each visible file with every size it was seen at."""

    def __init__(self, zone: Path) -> None:
        self.zone = zone
        self.sizes: dict[Path, set[int]] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._end.is_set():
            self._look()
            time.sleep(0.005)

    def _look(self) -> None:
        if not self.zone.exists():
            return
        try:
            for path in visible(self.zone):
                self.sizes.setdefault(path, set()).add(path.stat().st_size)
        except FileNotFoundError:
            # The tree moved under the listing: the next look sees it whole.
            pass

    def check(self, found: list[Delivered]) -> None:
        """No file was ever seen at another size than its manifest gives it, and none that no manifest names."""
        whole = {path: file["size"] for it in found for path, file in zip(it.files(), it.body["files"], strict=True)}
        for path, sizes in self.sizes.items():
            if not path.name.startswith("manifest-"):
                assert sizes == {whole.get(path)}, f"{path} was visible with {sizes} bytes, its manifest says {whole.get(path)}"
