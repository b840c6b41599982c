"""Every function of the known client that exports, catalogues or ingests, called once on a running service.

What each must do in detail is asked in test_aepp.py and test_ingestion.py. Here stands the list of what works, printed
by `pytest -s`, and nothing on it may be left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
from aepp.catalog import Catalog
from aepp.dataaccess import DataAccess
from aepp.destinationinstanceservice import DestinationInstanceService
from aepp.flowservice import FlowService
from aepp.ingestion import DataIngestion
from aepp.sandboxes import Sandboxes

from ingest import wait
from offtake import DATA_LAKE, LANDING_ZONE, LANDING_ZONE_FLOW, Offtake
from table import DeltaTable
from test_aepp import every_3_hours, point

# By the lines of the contract's section 15, in its order; a class stands where its functions are.
FUNCTIONS = {
    "connections": {
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
        ],
    },
    "specs and eligible datasets": {
        FlowService: [
            "getConnectionSpecs",
            "getConnectionSpecsMap",
            "getConnectionSpec",
            "getConnectionSpecIdFromName",
            "getFlowSpecs",
            "getFlowSpec",
            "getFlowSpecIdFromNames",
            "getExportableDatasets",
            "getExportableDatasetsDLZ",
        ],
    },
    "source and target connections": {
        FlowService: [
            "createSourceConnection",
            "createSourceConnectionDataLake",
            "getSourceConnections",
            "getSourceConnection",
            "updateSourceConnection",
            "deleteSourceConnection",
            "createTargetConnection",
            "createTargetConnectionDatasetToDataLandingZone",
            "getTargetConnections",
            "getTargetConnection",
            "updateTargetConnection",
            "deleteTargetConnection",
        ],
    },
    "flows and runs": {
        FlowService: [
            "createFlow",
            "createFlowDataLakeToDataLandingZone",
            "getFlows",
            "getFlow",
            "updateFlow",
            "postFlowAction",
            "deleteFlow",
            "getRuns",
            "getRun",
            "createRun",
        ],
    },
    "landing zone": {
        FlowService: [
            "getLandingZoneContainer",
            "getLandingZoneContainerName",
            "getLandingZoneStorageName",
            "getLandingZoneContainerTTL",
            "getLandingZoneStorageTTL",
            "getLandingZoneCredential",
            "getLandingZoneSASUri",
            "getLandingZoneSASToken",
            "getLandingZoneStorageAccountName",
            "getLandingZoneNamespace",
            "exploreLandingZone",
        ],
    },
    "on demand": {DestinationInstanceService: ["createAdHocDatasetExport"]},
    "catalogue": {
        Catalog: [
            "getDataSets",
            "getDataSet",
            "createDataSet",
            "deleteDataSet",
            "patchDataset",
            "patchDatasetV2",
            "putDataset",
            "setDatasetTTL",
            "enableDatasetProfile",
            "disableDatasetProfile",
            "enableDatasetIdentity",
            "disableDatasetIdentity",
            "enableDatasetUpsert",
            "getBatches",
            "getBatch",
            "getDataSetViewFiles",
        ],
    },
    "ingestion": {
        DataIngestion: [
            "createBatch",
            "uploadSmallFile",
            "uploadSmallFileFinish",
            "uploadLargeFileStartEnd",
            "uploadLargeFilePart",
            "headFileStatus",
            "getPreviewBatchDataset",
            "deleteBatch",
        ],
    },
    "data access": {
        DataAccess: [
            "getBatchFiles",
            "getBatchFailed",
            "getBatchMeta",
            "getHeadFile",
            "getFiles",
            "getPreview",
            "getResource",
        ],
    },
    "sandboxes": {Sandboxes: ["getSandbox", "getSandboxes"]},
}

# What stands in the contract beside functions: each service object fetches a token of its own.
TOKEN = "token"


class Called:
    """A part of the client that keeps a list of what was called, with no change to what is called."""

    def __init__(self, client: Any, done: set[str]) -> None:
        self.client, self.done = client, done

    def __getattr__(self, name: str) -> Callable[..., Any]:
        self.done.add(f"{type(self.client).__name__}.{name}")
        return getattr(self.client, name)


Part = dict[type, Called]


def test_every_function_of_the_known_client_works(service: Offtake, table: DeltaTable) -> None:
    point(service)
    done: set[str] = set()
    kinds = {kind for parts in FUNCTIONS.values() for kind in parts}
    part = {kind: Called(kind(), done) for kind in kinds}
    assert all(one.client.connector.token for one in part.values()), "each has fetched a token"

    assert part[Sandboxes].getSandbox("prod")["name"] == "prod"
    assert [it["name"] for it in part[Sandboxes].getSandboxes()] == ["prod"]
    dataset = catalogue(part[Catalog])
    specs(part[FlowService], dataset)
    flow, ends = a_flow(service, part[FlowService], dataset)
    runs(service, part, flow, dataset)
    landing_zone(part[FlowService])
    the_end_of(part[FlowService], flow, ends)
    batches(service, part)

    wanted = {line: {f"{kind.__name__}.{name}" for kind, names in parts.items() for name in names} for line, parts in FUNCTIONS.items()}
    missed = {line: names - done for line, names in wanted.items() if names - done}
    assert not missed, missed
    print(f"\n{sum(map(len, wanted.values()))} functions of the known client work, and its {TOKEN}:")
    for line, names in wanted.items():
        print(f"  {line}", *sorted(names), sep="\n    ")


def catalogue(catalog: Called) -> str:
    """Everything that is done to datasets; gives the one that is exported."""
    (made,) = catalog.createDataSet({"name": "events", "location": "lake://default/events"})
    dataset = made.removeprefix("@/dataSets/")
    named = [made]
    assert list(catalog.getDataSet(dataset)) == list(catalog.getDataSets()) == [dataset]
    assert catalog.patchDataset(dataset, {"description": "what happened"}) == named
    assert catalog.patchDatasetV2(dataset, {"tags": {"team": ["red"]}}) == named
    assert catalog.setDatasetTTL(dataset, "P3M") == named
    read = lambda: catalog.getDataSet(dataset)[dataset]  # noqa: E731
    assert read()["extensions"]["adobe_lakeHouse"]["rowExpiration"] == {"ttlValue": "P3M"}
    for call, tag, value in (
        (catalog.enableDatasetProfile, "unifiedProfile", ["enabled:true"]),
        (catalog.enableDatasetUpsert, "unifiedProfile", ["enabled:true", "isUpsert:true"]),
        (catalog.disableDatasetProfile, "unifiedProfile", ["enabled:false"]),
        (catalog.enableDatasetIdentity, "unifiedIdentity", ["enabled:true"]),
        (catalog.disableDatasetIdentity, "unifiedIdentity", ["enabled:false"]),
    ):
        assert call(dataset) == named
        assert read()["tags"][tag] == value
    assert catalog.putDataset(dataset, {"name": "events", "location": "lake://default/events"}) == named
    assert "description" not in read()
    (other,) = catalog.createDataSet({"name": "other"})
    catalog.deleteDataSet(other.removeprefix("@/dataSets/"))
    assert list(catalog.getDataSets()) == [dataset]
    return dataset


def specs(flows: Called, dataset: str) -> None:
    """Specs by name and id, and what can be exported."""
    assert len(flows.getConnectionSpecs()) == len(flows.getConnectionSpecsMap()) == 7
    assert flows.getConnectionSpec(DATA_LAKE)["items"][0]["name"] == "activation-datalake"
    assert flows.getConnectionSpecIdFromName("Data Landing Zone") == LANDING_ZONE
    (zone,) = [it for it in flows.getFlowSpecs() if it["id"] == LANDING_ZONE_FLOW]
    assert flows.getFlowSpec(LANDING_ZONE_FLOW)["name"] == zone["name"]
    names = (zone["name"], "activation-datalake", "Data Landing Zone")
    assert flows.getFlowSpecIdFromNames(*names) == LANDING_ZONE_FLOW
    for found in (flows.getExportableDatasets(DATA_LAKE), flows.getExportableDatasetsDLZ()):
        assert [it["id"] for it in found] == [dataset]


def a_flow(service: Offtake, flows: Called, dataset: str) -> tuple[str, tuple[str, str]]:
    """Connections of every kind, and a flow that has run; gives it and its ends."""
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
    assert flows.getTargetConnection(target)["params"]["path"] == "elsewhere"
    renamed = [{"op": "replace", "path": "/name", "value": "renamed"}]
    flows.updateSourceConnection(source, flows.getSourceConnection(source)["etag"], renamed)
    assert flows.getSourceConnection(source)["name"] == "renamed"

    # The same by the functions that take whole bodies.
    body = {"name": "s", "connectionSpec": {"id": DATA_LAKE, "version": "1.0"}, "params": {"datasets": [{"dataSetId": dataset}]}}
    plain_source = flows.createSourceConnection(body)["id"]
    params = {"path": "plain", "compression": "GZIP", "datasetFileType": "PARQUET"}
    body = {"name": "t", "baseConnectionId": zone, "params": params, "connectionSpec": spec}
    plain_target = flows.createTargetConnection(data=body)["id"]
    schedule = every_3_hours(schedule_start_time=int(time.time()) + 3600)
    ends = {"source_connection_id": plain_source, "target_connection_id": plain_target}
    later = flows.createFlowDataLakeToDataLandingZone("later", **ends, **schedule)["id"]
    assert flows.deleteFlow(later) == 202
    assert flows.deleteSourceConnection(plain_source) == flows.deleteTargetConnection(plain_target) == 202

    flow = flows.createFlow(
        LANDING_ZONE_FLOW,
        name="flow",
        source_connection_id=source,
        target_connection_id=target,
        **every_3_hours(schedule_start_time=int(time.time()) - 60, schedule_frequency="hour", schedule_interval=3),
    )["id"]
    service.wait_for_run(service.first_run(flow))
    return flow, (source, target)


def runs(service: Offtake, part: Part, flow: str, dataset: str) -> None:
    """Runs that were due, asked for, and on demand."""
    flows = part[FlowService]
    run = flows.createRun(flow)["id"]
    service.wait_for_run(run)
    (read,) = flows.getRun(run)
    assert read["id"] == run and run in {it["id"] for it in flows.getRuns(prop=f"flowId=={flow}")}
    asked = part[DestinationInstanceService].createAdHocDatasetExport({flow: [dataset]})
    (started,) = asked["destinations"][0]["datasets"]
    service.wait_for_run(started["statusURL"].rsplit("/", 1)[1])


def landing_zone(flows: Called) -> None:
    """Where the files are, for whoever receives them."""
    kind = "dlz_destination"
    container = flows.getLandingZoneContainer(kind)["containerName"]
    for named in (flows.getLandingZoneContainerName, flows.getLandingZoneStorageName):
        assert named(kind) == container
    for kept in (flows.getLandingZoneContainerTTL, flows.getLandingZoneStorageTTL):
        assert kept(kind) == 0
    account = flows.getLandingZoneCredential(kind)["storageAccountName"]
    for named in (flows.getLandingZoneStorageAccountName, flows.getLandingZoneNamespace):
        assert named(kind) == account
    assert flows.getLandingZoneSASUri(kind).endswith(f"?{flows.getLandingZoneSASToken(kind)}")
    assert [it["name"] for it in flows.exploreLandingZone()] == ["elsewhere"]


def the_end_of(flows: Called, flow: str, ends: tuple[str, str]) -> None:
    """Edits, actions and deletions."""
    assert [it["id"] for it in flows.getFlows()] == [flow]
    changed = [{"op": "Replace", "path": "/name", "value": "renamed"}]
    flows.updateFlow(flow, flows.getFlow(flow)["etag"], changed)
    assert flows.getFlow(flow)["name"] == "renamed"
    assert flows.postFlowAction(flow, "disable")["id"] == flow
    assert flows.postFlowAction(flow, "enable")["id"] == flow
    assert flows.deleteFlow(flow) == 202
    source, target = ends
    assert flows.deleteSourceConnection(source) == flows.deleteTargetConnection(target) == 202


def batches(service: Offtake, part: Part) -> None:
    """A batch of small and large files, looked at on its way, read back and taken back."""
    catalog, ingestion, access = part[Catalog], part[DataIngestion], part[DataAccess]
    (made,) = catalog.createDataSet({"name": "orders"})
    managed = made.removeprefix("@/dataSets/")
    batch = ingestion.createBatch(managed, format="json")["id"]
    ingestion.uploadSmallFile(batch, managed, filePath="orders.json", data=[{"id": 1}, {"id": 2}])
    large = {"batchId": batch, "datasetId": managed, "filePath": "large.json"}
    ingestion.uploadLargeFileStartEnd(**large, action="INITIALIZE")
    for data, span in ((b'{"id":3}', "bytes 0-7/17"), (b'\n{"id":4}', "bytes 8-16/17")):
        ingestion.uploadLargeFilePart(**large, data=data, contentRange=span)
    # The client drops the headers that it asked for, so that nothing more than no refusal can be seen.
    assert ingestion.headFileStatus(**large) == {}
    ingestion.uploadLargeFileStartEnd(**large, action="COMPLETE")
    looked = ingestion.getPreviewBatchDataset(batch, managed)["preview"]
    assert (looked["columns"], len(looked["rows"])) == (["id"], 4)
    ingestion.uploadSmallFileFinish(batch)
    wait(service, batch)
    assert list(catalog.getBatch(batch)) == list(catalog.getBatches()) == [batch]
    (file,) = access.getBatchFiles(batch)
    assert list(catalog.getDataSetViewFiles(managed, managed)) == [file["dataSetFileId"]]
    (name,) = [it["name"] for it in access.getFiles(file["dataSetFileId"])["data"]]
    assert name.endswith(".parquet")
    whole = access.getFiles(file["dataSetFileId"], path=name)
    assert pq.read_table(whole)["id"].to_pylist() == [3, 4, 1, 2]
    assert access.getHeadFile(file["dataSetFileId"], path=name) == {}
    assert len(access.getPreview(managed)) == 4
    assert access.getBatchFailed(batch) == []
    remembered = access.getBatchMeta(batch)["data"]
    assert [it["name"] for it in remembered] == ["input_files"]
    (inputs,) = access.getBatchMeta(batch, path="input_files")["data"]
    text = access.getResource(service.url + inputs["_links"]["self"]["href"], format="raw").text
    assert '"name":"large.json"' in text
    assert ingestion.deleteBatch(batch)["status"] == "inactive"
    assert access.getPreview(managed) == []
