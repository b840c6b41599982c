"""`offtake run FILE`, as cron starts it: rows exactly once, whatever happens between two starts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from offtake import BINARY
from oracle import check_exactly_once, check_files, check_folder, check_tiled, manifests
from table import DeltaTable


def write_export(path: Path, table: DeltaTable, out: Path, more: str = "") -> Path:
    path.write_text(
        f"dataset:\n  location: {table.path}\ndestination:\n  type: landing-zone\n  folder: {out}\n"
        f"  params:\n    path: exports\n{more}"
    )
    return path


def start(file: Path, *arguments: str, failpoints: str = "") -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OFFTAKE")}
    kept |= {"OFFTAKE_FAILPOINTS": failpoints} if failpoints else {}
    return subprocess.run(
        [BINARY, "--json", "run", str(file), *arguments], env=kept, text=True, capture_output=True, timeout=120
    )


@pytest.fixture
def lake(tmp_path: Path) -> DeltaTable:
    table = DeltaTable(tmp_path / "lake" / "orders")
    table.append(1000, files=4)
    return table


def test_ten_starts_with_appends_between_and_one_killed_deliver_every_row_once(
    lake: DeltaTable, tmp_path: Path
) -> None:
    file = write_export(tmp_path / "orders.yaml", lake, tmp_path / "out")
    for number in range(10):
        killed = number == 4
        ended = start(file, failpoints="after-publish-send=kill" if killed else "")
        assert ended.returncode == (-9 if killed else 0), ended.stderr
        if number != 7:
            lake.append(100 + number)
    ended = start(file)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["rows"] == 109

    found = manifests(tmp_path / "out")
    check_exactly_once(found, range(lake.next_row))
    check_tiled(found)
    check_folder(tmp_path / "out", found)
    for delivered in found:
        check_files(delivered)


def test_nothing_new_is_success(lake: DeltaTable, tmp_path: Path) -> None:
    file = write_export(tmp_path / "orders.yaml", lake, tmp_path / "out")
    assert json.loads(start(file).stdout)["rows"] == 1000
    again = start(file)
    assert (again.returncode, json.loads(again.stdout)["rows"]) == (0, 0)


def test_a_second_start_in_parallel_says_75_and_touches_nothing(lake: DeltaTable, tmp_path: Path) -> None:
    file = write_export(tmp_path / "orders.yaml", lake, tmp_path / "out")
    environment = {**os.environ, "OFFTAKE_FAILPOINTS": "before-freeze=1*delay(4000)"}
    first = subprocess.Popen(
        [BINARY, "run", str(file)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        lock = tmp_path / "orders.state" / "credentials.json"
        while not lock.exists():
            assert first.poll() is None
        second = start(file)
        assert second.returncode == 75, second.stderr
        assert "in use" in second.stderr
        assert first.wait(60) == 0
    finally:
        first.kill()
        first.wait(10)
    check_exactly_once(manifests(tmp_path / "out"), range(lake.next_row))


def test_file_rules_and_a_changed_file_keep_the_position(lake: DeltaTable, tmp_path: Path) -> None:
    out = tmp_path / "out"
    file = write_export(tmp_path / "orders.yaml", lake, out)
    assert start(file).returncode == 0
    lake.append(95, files=3)
    rules = "folder: '%DATASET_NAME%/%EXPORT_TIME%'\nformat: {type: PARQUET}\nfiles: {maxRowsPerFile: 10, includeFileManifest: true}\n"
    write_export(file, lake, out, rules)
    ended = start(file)
    assert ended.returncode == 0, ended.stderr

    found = manifests(out)
    check_exactly_once(found, range(lake.next_row))
    check_tiled(found)
    files = found[1].body["files"]
    assert all(it["rows"] <= 10 and "/orders/exportTime=" in it["key"] for it in files)
    assert sum(it["rows"] for it in files) == 95
    assert len(list(out.rglob("manifest-*.json"))) == 1


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ("foldr: x\n", "line 8"),
        ("folder: '%NO_SUCH%'\n", "unknown macro"),
        ("format: {type: CSV}\n", "datasetFileType"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(lake: DeltaTable, tmp_path: Path, more: str, word: str) -> None:
    ended = start(write_export(tmp_path / "orders.yaml", lake, tmp_path / "out", more))
    assert ended.returncode == 2, ended.stderr
    assert word in ended.stderr
    assert not manifests(tmp_path / "out")


def test_a_failed_delivery_says_1_and_the_next_start_delivers(lake: DeltaTable, tmp_path: Path) -> None:
    file = write_export(tmp_path / "orders.yaml", lake, tmp_path / "out")
    gone = lake.files()[0]
    kept = gone.read_bytes()
    gone.unlink()
    ended = start(file)
    assert ended.returncode == 1, ended.stderr
    gone.write_bytes(kept)
    assert start(file).returncode == 0
    check_exactly_once(manifests(tmp_path / "out"), range(lake.next_row))
