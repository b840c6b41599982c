"""Every function of the known client that exports, catalogues or ingests, called once on a running service.

What each must do in detail is asked in test_aepp.py and test_ingestion.py. Here stands the list of what works, printed
by `pytest -s`, and nothing on it may be left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aepp.catalog import Catalog
from aepp.dataaccess import DataAccess
from aepp.destinationinstanceservice import DestinationInstanceService
from aepp.flowservice import FlowService
from aepp.ingestion import DataIngestion
from aepp.sandboxes import Sandboxes

from ingest import wait
from offtake import DATA_LAKE, LANDING_ZONE_FLOW, Offtake
from table import DeltaTable
from test_aepp import every_3_hours, point

FUNCTIONS = {
    FlowService: [
        "getConnections",
        "getConnection",
        "createConnection",
        "createBaseConnectionS3Target",
        "createBaseConnectionBlobTarget",
        "createBaseConnectionDLZTarget",
        "connectionTest",
        "patchConnection",
        "deleteConnection",
        "getConnectionSpecs",
        "getConnectionSpec",
        "getExportableDatasets",
        "createSourceConnectionDataLake",
        "createTargetConnectionDatasetToDataLandingZone",
        "createFlow",
        "getFlows",
        "getFlow",
        "getRuns",
        "getRun",
        "createRun",
        "getSourceConnections",
        "getTargetConnections",
        "updateFlow",
        "updateTargetConnection",
        "postFlowAction",
        "deleteFlow",
        "deleteSourceConnection",
        "deleteTargetConnection",
    ],
    DestinationInstanceService: ["createAdHocDatasetExport"],
    Catalog: ["getDataSets", "getDataSet", "createDataSet"],
    DataIngestion: ["createBatch", "uploadSmallFile", "uploadSmallFileFinish"],
    DataAccess: ["getBatchFiles", "getFiles", "getPreview"],
    Sandboxes: ["getSandbox"],
}


class Called:
    """A part of the client that keeps a list of what was called, with no change to what is called."""

    def __init__(self, client: Any, done: set[str]) -> None:
        self.client, self.done = client, done

    def __getattr__(self, name: str) -> Callable[..., Any]:
        self.done.add(f"{type(self.client).__name__}.{name}")
        return getattr(self.client, name)


def test_every_function_of_the_known_client_works(service: Offtake, table: DeltaTable) -> None:
    point(service)
    done: set[str] = set()
    part = {kind: Called(kind(), done) for kind in FUNCTIONS}
    flows, catalog, ingestion = part[FlowService], part[Catalog], part[DataIngestion]

    assert part[Sandboxes].getSandbox("prod")["name"] == "prod"
    (made,) = catalog.createDataSet({"name": "events", "location": "lake://default/events"})
    dataset = made.removeprefix("@/dataSets/")
    assert list(catalog.getDataSet(dataset)) == list(catalog.getDataSets()) == [dataset]
    assert [it["id"] for it in flows.getExportableDatasets(DATA_LAKE)] == [dataset]
    assert len(flows.getConnectionSpecs()) == 7
    assert flows.getConnectionSpec(DATA_LAKE)["items"][0]["name"] == "activation-datalake"

    zone = flows.createBaseConnectionDLZTarget("zone")["id"]
    s3 = flows.createBaseConnectionS3Target("s3", s3AccessKey="AKIAIOSFODNN7EXAMPLE", s3SecretKey="s" * 40)["id"]
    key = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5;EndpointSuffix=core.windows.net"
    blob = flows.createBaseConnectionBlobTarget("blob", connectionString=key)["id"]
    spec = flows.getConnection(zone)["connectionSpec"]
    plain = flows.createConnection(name="plain", connectionSpec=spec)["id"]
    assert {it["id"] for it in flows.getConnections()} == {zone, s3, blob, plain}
    assert flows.connectionTest(zone) == {"result": True}
    flows.patchConnection(plain, [{"op": "replace", "path": "/name", "value": "renamed"}])
    assert flows.getConnection(plain)["name"] == "renamed"
    assert flows.deleteConnection(plain) == 202

    source = flows.createSourceConnectionDataLake("source", dataset_ids=[dataset])["id"]
    aim = flows.createTargetConnectionDatasetToDataLandingZone
    target = aim("target", baseConnectionId=zone, path="exports")["id"]
    assert [it["id"] for it in flows.getSourceConnections()] == [source]
    (shown,) = flows.getTargetConnections()
    moved = [{"op": "replace", "path": "/params", "value": {"path": "elsewhere"}}]
    flows.updateTargetConnection(target, shown["etag"], moved)
    assert flows.getTargetConnections()[0]["params"]["path"] == "elsewhere"

    flow = flows.createFlow(
        LANDING_ZONE_FLOW,
        name="flow",
        source_connection_id=source,
        target_connection_id=target,
        **every_3_hours(schedule_start_time=int(time.time()) - 60, schedule_frequency="hour", schedule_interval=3),
    )["id"]
    service.wait_for_run(service.first_run(flow))
    run = flows.createRun(flow)["id"]
    service.wait_for_run(run)
    (read,) = flows.getRun(run)
    assert read["id"] == run and run in {it["id"] for it in flows.getRuns(prop=f"flowId=={flow}")}
    asked = part[DestinationInstanceService].createAdHocDatasetExport({flow: [dataset]})
    (started,) = asked["destinations"][0]["datasets"]
    service.wait_for_run(started["statusURL"].rsplit("/", 1)[1])

    assert [it["id"] for it in flows.getFlows()] == [flow]
    changed = [{"op": "Replace", "path": "/name", "value": "renamed"}]
    flows.updateFlow(flow, flows.getFlow(flow)["etag"], changed)
    assert flows.getFlow(flow)["name"] == "renamed"
    assert flows.postFlowAction(flow, "disable")["id"] == flow
    assert flows.deleteFlow(flow) == 202
    assert flows.deleteSourceConnection(source) == flows.deleteTargetConnection(target) == 202

    (made,) = catalog.createDataSet({"name": "orders"})
    managed = made.removeprefix("@/dataSets/")
    batch = ingestion.createBatch(managed, format="json")["id"]
    ingestion.uploadSmallFile(batch, managed, filePath="orders.json", data=[{"id": 1}, {"id": 2}])
    ingestion.uploadSmallFileFinish(batch)
    wait(service, batch)
    (file,) = part[DataAccess].getBatchFiles(batch)
    assert part[DataAccess].getFiles(file["dataSetFileId"])["data"][0]["name"].endswith(".parquet")
    assert len(part[DataAccess].getPreview(managed)) == 2

    wanted = {f"{kind.__name__}.{name}" for kind, names in FUNCTIONS.items() for name in names}
    assert wanted <= done, wanted - done
    print(f"\n{len(wanted)} functions of the known client work:", *sorted(wanted), sep="\n  ")
