"""The documented requests for every destination, in every format: each value arrives, read by programs that are not ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from deltalake import write_deltalake

import values
import wide
from offtake import Offtake
from oracle import check_files
from places import PLACES, trusting
from places import place_of as place_of
from store import Store
from test_interop import FORMATS, rows_of


@pytest.mark.parametrize("kind", PLACES)
def test_every_value_arrives_in_every_format_and_increments_are_exact(
    make: Callable[..., Offtake], place_of: Callable[[str], Store], kind: str
) -> None:
    place = place_of(kind)
    service = make(**trusting()).start()
    lake = service.data_dir / "lake" / "wide"
    first, second = wide.table(300, 1), wide.table(40, 2, 300)
    write_deltalake(lake, first)
    dataset = service.add_dataset("wide", "lake://default/wide")
    to = place.destination()
    flows = [service.make_flow(dataset, form, packed, f"{form}-{packed}", to=to) for form, packed in FORMATS]

    for expected, mode in ((first, "full"), (second, "incremental")):
        if mode == "incremental":
            write_deltalake(lake, second, mode="append")
        for run in [service.start_run(flow) for flow in flows]:
            service.wait_for_run(run)
        found = place.manifests()
        for flow in flows:
            delivered = [it for it in found if it.body["flow"] == flow][-1]
            assert delivered.body["mode"] == mode
            check_files(delivered)
            unlike = values.differences(rows_of(delivered, expected.schema), values.rows_of(expected))
            assert not unlike, f"{delivered.body['files']}: {unlike}"
    place.check_swept()
