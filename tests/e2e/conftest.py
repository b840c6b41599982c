"""What the tests share: services that are ended when their test is, whatever happened in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from offtake import Offtake
from table import DeltaTable


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--deep", action="store_true", help="also the long tests")


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
