"""The demo: the first thing a newcomer types."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from offtake import BINARY
from oracle import check_exactly_once, check_files, check_folder, check_tiled, manifests, row_ids


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [BINARY, "demo", "--once", "--dir", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=folder.parent)


@pytest.mark.parametrize(
    ("file_type", "compression", "ending"),
    [
        ("JSON", "NONE", ".json"),
        ("JSON", "GZIP", ".json.gz"),
        ("PARQUET", "NONE", ".parquet"),
        ("PARQUET", "GZIP", ".gz.parquet"),
    ],
)
def test_the_demo_delivers_every_row_once_and_then_only_what_was_appended(
    tmp_path: Path, file_type: str, compression: str, ending: str
) -> None:
    done = demo(tmp_path / "demo", "--file-type", file_type, "--compression", compression)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout + done.stderr

    found = manifests(tmp_path / "demo")
    assert [it.body["totalRows"] for it in found] == [200_000, 20_000]
    for delivered in found:
        check_files(delivered)
        for path in delivered.files():
            assert path.name.endswith(ending)
            assert path.name in told, "the demo prints the delivered files"
    check_exactly_once(found, range(220_000))
    check_tiled(found)
    check_folder(tmp_path / "demo" / "data" / "landing-zone", found)
    assert min(row_ids(found[1])) >= 200_000, "the second run delivers appended rows only"
    assert told.count("VERIFIED") >= 2 and "NOT VERIFIED" not in told


def test_the_demo_shows_each_of_the_six_steps_as_a_request(tmp_path: Path) -> None:
    done = demo(tmp_path / "demo", "--rows", "1000", "--append", "100")
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout + done.stderr
    for step in ("configs", "sourceConnections", "connections", "targetConnections", "flows", "runs"):
        assert f"/{step}" in told, step
    assert "Bearer " not in told


def test_the_demo_answers_programs_in_json(tmp_path: Path) -> None:
    done = demo(tmp_path / "demo", "--rows", "1000", "--append", "100", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["verified"] is True
    assert [run["rows"] for run in told["runs"]] == [1000, 100]
    assert all(Path(path).is_file() for run in told["runs"] for path in run["files"])


def test_the_demo_replaces_its_own_folder_and_no_other(tmp_path: Path) -> None:
    small = ("--rows", "1000", "--append", "100")
    assert demo(tmp_path / "demo", *small).returncode == 0
    assert demo(tmp_path / "demo", *small).returncode == 0

    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("keep")
    assert demo(mine, *small).returncode != 0
    assert (mine / "letter.txt").read_text() == "keep"
