"""What the tests share: services that are ended when their test is, whatever happened in it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bed import Start, start_peer
from bucket import Bucket, strictest
from offtake import Offtake
from table import DeltaTable


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--deep", action="store_true", help="also the long tests")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "deep: run only with --deep")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what only `--deep` runs."""
    if not config.getoption("--deep"):
        left_out = [item for item in items if item.get_closest_marker("deep")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def deep(request: pytest.FixtureRequest) -> bool:
    """Whether the long tests were asked for."""
    return request.config.getoption("--deep")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Offtake]]:
    """Makes services, each over a data directory of its own; none outlives the test."""
    made: list[Offtake] = []

    def one(name: str = "data", **settings: str) -> Offtake:
        service = Offtake(tmp_path / name, settings)
        made.append(service)
        return service

    yield one
    for service in made:
        service.kill()


@pytest.fixture
def service(make: Callable[..., Offtake]) -> Offtake:
    """A running service without datasets."""
    return make().start()


@pytest.fixture
def table(service: Offtake) -> DeltaTable:
    """A table of 1,000 rows in four files, in the running service's default lake root."""
    made = DeltaTable(service.data_dir / "lake" / "events")
    made.append(1000, files=4)
    return made


@pytest.fixture
def bucket_on(tmp_path: Path) -> Iterator[Callable[[str], Bucket]]:
    """Makes buckets that don't outlive the test."""
    made: list[Bucket] = []

    def one(server: str) -> Bucket:
        made.append(Bucket(server, tmp_path))
        return made[-1]

    yield one
    for bucket in made:
        bucket.remove()


@pytest.fixture
def bucket(bucket_on: Callable[[str], Bucket]) -> Bucket:
    """A bucket on the strictest server there is."""
    return bucket_on(strictest())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts peers that don't outlive the test."""
    started: list[subprocess.Popen[bytes]] = []

    def one(script: str, *options: str) -> int:
        process, port = start_peer(tmp_path / f"{script}.{len(started)}.log", script, *options)
        started.append(process)
        return port

    yield one
    for process in started:
        process.kill()
        process.wait()
