"""The readers printed in docs/guide/reading-deliveries.md, run as they stand there against real deliveries."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from offtake import Offtake
from oracle import manifests
from table import DeltaTable

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "reading-deliveries.md"


def block(language: str) -> str:
    """The one block of that language in the guide."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    return found


@pytest.fixture
def zone(service: Offtake, table: DeltaTable) -> Path:
    """Two deliveries that tile the table, a replay that repeats rows, and a file that no manifest names."""
    flow = service.make_flow(service.add_dataset("events", "lake://default/events"), "PARQUET", "NONE")
    first = service.start_run(flow)
    service.wait_for_run(first)
    table.append(77)
    service.wait_for_run(service.start_run(flow))
    service.wait_for_run(service.start_run(flow, replayOf=first))
    found = manifests(service.zone)
    stray = found[0].files()[0]
    stray.with_name("part-99999-stray.parquet").write_bytes(stray.read_bytes())
    return found[0].root


def test_the_python_reader_gives_every_row_once_and_only_once(zone: Path, tmp_path: Path, table: DeltaTable) -> None:
    reader = tmp_path / "read.py"
    reader.write_text(block("python"))
    assert len(block("python").splitlines()) <= 24

    def read() -> list[int]:
        ended = subprocess.run(
            [sys.executable, str(reader), str(zone), str(tmp_path / "seen.json")],
            text=True,
            capture_output=True,
            check=True,
            timeout=60,
        )
        files = ended.stdout.split()
        return duckdb.sql(f"select row_id from read_parquet({files})").fetchnumpy()["row_id"].tolist() if files else []

    assert sorted(read()) == list(range(table.next_row))
    assert read() == []


def test_the_sql_reader_gives_every_row_once(zone: Path, table: DeltaTable) -> None:
    assert len(block("sql").splitlines()) <= 24
    with duckdb.connect() as db:
        db.execute(f"set file_search_path = '{zone}'")
        rows = db.execute(f"select row_id from ({block('sql').rstrip().rstrip(';')})").fetchall()
    assert sorted(row_id for (row_id,) in rows) == list(range(table.next_row))


def test_the_python_reader_refuses_a_damaged_file(zone: Path, tmp_path: Path) -> None:
    # A replay counts its own deliveries, and the reader passes it by.
    damaged = next(it for it in manifests(zone) if it.body["kind"] != "replay").files()[0]
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    reader = tmp_path / "read.py"
    reader.write_text(block("python"))
    ended = subprocess.run([sys.executable, str(reader), str(zone), str(tmp_path / "seen.json")], capture_output=True, timeout=60)
    assert ended.returncode != 0
    assert not (tmp_path / "seen.json").exists()
