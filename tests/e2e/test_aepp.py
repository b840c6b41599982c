"""A client that others wrote for the documented service, unmodified: only its host and its credentials are ours.

Its own retries are off, so that no failure is repaired before it is seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aepp
import pytest
from aepp import configs
from aepp.catalog import Catalog
from aepp.exportDatasetToDataLandingZone import ExportDatasetToDataLandingZone
from aepp.flowservice import FlowManager, FlowService
from aepp.sandboxes import Sandboxes
from azure.storage.blob import ContainerClient

from azure_stores import BLOB, Container, trusting
from bucket import ALLOWED, Bucket
from offtake import DATA_LAKE, LANDING_ZONE, LANDING_ZONE_FLOW, S3, Offtake, status
from oracle import check_exactly_once, check_files, check_folder, check_tiled, manifests, row_ids
from table import DeltaTable

NOBODY = "00000000-0000-4000-8000-000000000000"
NO_DATASET = "5ef3e3259ad2a1191ab7dd7d"
FOLDER = "%DESTINATION%_%DATASET_ID%_%DATETIME(YYYYMMdd_HHmmss)%"


def point(service: Offtake, **changed: str) -> None:
    """Points the client's module at the service; `changed` replaces credentials."""
    known = service.credentials() | changed
    configs.configure(
        org_id=known["org"],
        client_id=known["clientId"],
        secret=known["clientSecret"],
        sandbox=known["sandbox"],
        scopes="openid",
        retry=0,
    )
    aepp.config.endpoints["global"] = service.url
    aepp.config.config_object["oauthTokenEndpointV2"] = f"{service.url}/ims/token/v3"


@pytest.fixture
def client(service: Offtake) -> FlowService:
    """The client, with a token."""
    point(service)
    return FlowService()


@pytest.fixture
def dataset(service: Offtake, table: DeltaTable) -> str:
    """The table of 1,000 rows, registered through the client."""
    point(service)
    (made,) = Catalog().createDataSet({"name": "events", "location": "lake://default/events"})
    return made.removeprefix("@/dataSets/")


def created(answer: dict[str, Any]) -> str:
    """The id of what was made."""
    assert set(answer) == {"id", "etag"}, answer
    return answer["id"]


def refused(answer: dict[str, Any], status: int, code: str) -> None:
    """The answer is the documented problem, in every place where some reader looks for it."""
    assert (answer["status"], answer["report"]["additionalContext"]["code"]) == (status, code), answer
    assert answer["errorMessage"] == answer["errorDetails"] == answer["detail"]
    assert answer["error-chain"][0]["errorCode"] == answer["type"].removeprefix("http://ns.adobe.com/aep/errors/")
    assert answer["type"].endswith(f"-{status}")


def ends(client: FlowService, dataset: str) -> dict[str, str]:
    """A source and a landing-zone target, as named arguments of a flow."""
    zone = created(client.createBaseConnectionDLZTarget("zone"))
    target = client.createTargetConnectionDatasetToDataLandingZone("target", baseConnectionId=zone, path="exports")
    return {
        "source_connection_id": created(client.createSourceConnectionDataLake("source", dataset_ids=[dataset])),
        "target_connection_id": created(target),
    }


def every_3_hours(**changed: Any) -> dict[str, Any]:
    """A schedule in the client's words. Nothing is due for an hour."""
    return {
        "schedule_start_time": int(time.time()) + 3600,
        "schedule_timeUnit": "hour",
        "export_mode": "FIRST_FULL_THEN_INCREMENTAL",
    } | changed


def make_flow(client: FlowService, dataset: str, name: str = "flow", **changed: Any) -> str:
    """A flow into the landing zone."""
    schedule = every_3_hours(**changed)
    return created(client.createFlowDataLakeToDataLandingZone(name, **ends(client, dataset), **schedule))


def newest_first(items: list[dict[str, Any]]) -> bool:
    """Whether they stand in the documented order."""
    ages = [item["createdAt"] for item in items]
    return ages == sorted(ages, reverse=True)


def ids(items: list[dict[str, Any]]) -> set[str]:
    """Their ids, none of which stands on two pages."""
    found = [item["id"] for item in items]
    assert len(found) == len(set(found)), found
    return set(found)


# Identity.


def test_the_client_gets_a_token_and_is_let_in(service: Offtake, client: FlowService) -> None:
    left = client.connector.config["date_limit"] - time.time()
    assert 80_000 < left < 86_400
    sandbox = Sandboxes().getSandbox("prod")
    assert (sandbox["name"], sandbox["state"], sandbox["isDefault"]) == ("prod", "active", True)


def test_a_wrong_secret_gives_the_client_no_token(service: Offtake) -> None:
    point(service, clientSecret="wrong")
    with pytest.raises(KeyError, match="expires_in"):
        FlowService()


def test_another_organisation_or_sandbox_is_refused(service: Offtake) -> None:
    point(service, sandbox="elsewhere")
    answer = FlowService().getConnections()
    refused(answer, 404, "SANDBOX_NOT_FOUND")
    assert answer["type"].endswith("FLOW-2100-404")
    point(service, org="0123456789ABCDEF01234567@AdobeOrg")
    assert FlowService().getConnections() == {"error_code": "403025", "message": "Profile is not valid"}


# Specs and datasets.


def test_specs_are_found_by_name_and_id(client: FlowService) -> None:
    names = client.getConnectionSpecsMap()
    assert len(names) == 7
    assert names["activation-datalake"] == DATA_LAKE
    assert names["Data Landing Zone"] == LANDING_ZONE
    assert names["Amazon S3"] == S3
    assert client.getConnectionSpecIdFromName("activation-datalake") == DATA_LAKE

    (s3,) = client.getConnectionSpec(S3)["items"]
    assert (s3["id"], s3["name"], s3["version"], s3["encryptionSpecs"]) == (S3, "Amazon S3", "1.0", [])
    assert s3["authSpec"][0]["name"] == "Access Key"
    assert {"bucketName", "path", "compression", "datasetFileType"} <= s3["targetSpec"]["spec"]["properties"].keys()

    flows = client.getFlowSpecs()
    assert len(flows) == 6
    (zone,) = [spec for spec in flows if spec["id"] == LANDING_ZONE_FLOW]
    assert client.getFlowSpec(LANDING_ZONE_FLOW) == zone
    assert client.getFlowSpecIdFromNames(zone["name"], "activation-datalake", "Data Landing Zone") == LANDING_ZONE_FLOW


def test_an_unknown_spec_is_refused(client: FlowService) -> None:
    refused(client.getConnectionSpec(NOBODY), 404, "RESOURCE_NOT_FOUND")
    assert client.getFlowSpec(NOBODY) == {}
    assert client.getExportableDatasets(NOBODY) == []
    assert client.getFlowSpecs("name==nothing") == []


def test_datasets_are_listed_in_the_catalogue_and_as_exportable(client: FlowService, dataset: str) -> None:
    catalog = Catalog()
    (entry,) = catalog.getDataSets().values()
    assert (entry["id"], entry["name"], entry["location"]) == (dataset, "events", "lake://default/events")
    # The client fills these from every dataset's tags, or none of them.
    assert catalog.data.ids == {"events": dataset}
    assert catalog.data.table_names == {"events": ["events"]}
    assert list(catalog.getDatasetsInfos()["id"]) == [dataset]
    assert catalog.getDataSet(dataset)[dataset]["classification"]["dataBehavior"] == "record"
    assert catalog.getDataSet(NO_DATASET)["status"] == 404

    for spec in (DATA_LAKE, LANDING_ZONE, S3):
        (found,) = client.getExportableDatasets(spec)
        assert (found["id"], found["name"]) == (dataset, "events")


def test_the_client_pages_through_more_datasets_than_one_answer_holds(client: FlowService, dataset: str) -> None:
    catalog = Catalog()
    made = {dataset}
    for number in range(120):
        (one,) = catalog.createDataSet({"name": f"d{number}", "location": "lake://default/events"})
        made.add(one.removeprefix("@/dataSets/"))
    assert ids(client.getExportableDatasetsDLZ()) == made
    # The client leaves out one dataset between pages, its own fault, and ends at the first short page.
    assert len(catalog.getDataSets(limit=100)) == len(made) - 1


# Connections.


def test_base_connections_are_made_read_and_listed(client: FlowService) -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    key = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"
    zone = created(client.createBaseConnectionDLZTarget("zone"))
    s3 = created(client.createBaseConnectionS3Target("s3", s3AccessKey="AKIAIOSFODNN7EXAMPLE", s3SecretKey=secret))
    blob = created(client.createBaseConnectionBlobTarget("blob", connectionString=key))

    read = client.getConnection(s3)
    assert (read["id"], read["name"], read["state"]) == (s3, "s3", "enabled")
    assert read["connectionSpec"] == {"id": S3, "version": "1.0"}
    assert read["auth"]["specName"] == "Access Key"
    assert read["auth"]["params"]["s3AccessKey"] == "AKIAIOSFODNN7EXAMPLE"
    assert read["auth"]["params"]["s3SecretKey"] == "****"
    assert client.getConnection(zone)["connectionSpec"] == {"id": LANDING_ZONE, "version": "1.0"}

    for limit in (1, 2, 100):
        listed = client.getConnections(limit=limit)
        assert ids(listed) == {zone, s3, blob} and newest_first(listed)
        assert secret not in str(listed) and "c2VjcmV0" not in str(listed)
    assert client.getConnections(count=True) == {"count": 3}
    assert ids(client.getConnections(property=f"connectionSpec.id=={S3}")) == {s3}


def test_a_refused_connection_leaves_nothing_behind(client: FlowService) -> None:
    def connect(spec: dict[str, str], auth: dict[str, Any] | None = None) -> dict[str, Any]:
        return client.createConnection(name="x", connectionSpec=spec, auth=auth)

    refused(connect({"id": NOBODY, "version": "1.0"}), 400, "SPEC_NOT_VALID")
    refused(connect({"id": LANDING_ZONE}), 422, "SPEC_VERSION_MISSING")
    password = {"specName": "Password", "params": {}}
    refused(connect({"id": S3, "version": "1.0"}, password), 400, "AUTH_SPEC_UNKNOWN")
    short = client.createBaseConnectionS3Target("x", s3AccessKey="AKIA", s3SecretKey="tooshort")
    refused(short, 400, "FIELD_INVALID")
    assert "s3AccessKey" in short["detail"] and "tooshort" not in str(short)
    assert client.getConnections() == []
    assert client.getConnection(NOBODY) == {}


def test_source_and_target_connections_are_made_read_and_listed(client: FlowService, dataset: str) -> None:
    made = [ends(client, dataset) for _ in range(3)]
    sources = {one["source_connection_id"] for one in made}
    targets = {one["target_connection_id"] for one in made}
    for limit in (1, 2, 100):
        assert ids(client.getSourceConnections(limit=limit)) == sources
        assert ids(client.getTargetConnections(limit=limit)) == targets
    assert len(client.getTargetConnections(n_results=2, limit=1)) == 2

    source = client.getSourceConnection(made[0]["source_connection_id"])
    assert source["params"] == {"datasets": [{"dataSetId": dataset, "name": "events"}]}
    assert source["data"] == {"format": "delimited"}
    target = client.getTargetConnection(made[0]["target_connection_id"])
    assert target["params"] == {
        "mode": "Server-to-server",
        "path": "exports",
        "compression": "GZIP",
        "datasetFileType": "JSON",
    }
    assert target["inheritedAttributes"]["baseConnection"]["id"] == target["baseConnectionId"]


def test_refused_source_and_target_connections_leave_nothing_behind(client: FlowService, dataset: str) -> None:
    unknown = client.createSourceConnectionDataLake("x", dataset_ids=[dataset, NO_DATASET])
    refused(unknown, 400, "DATASET_UNKNOWN")
    assert NO_DATASET in unknown["detail"]
    twice = client.createSourceConnectionDataLake("x", dataset_ids=[dataset, dataset])
    refused(twice, 400, "FIELD_INVALID")
    assert client.getSourceConnections() == []

    zone = created(client.createBaseConnectionDLZTarget("zone"))
    s3 = client.createBaseConnectionS3Target("s3", s3AccessKey="AKIAIOSFODNN7EXAMPLE", s3SecretKey="s" * 40)

    def aim(base: str, **params: str) -> dict[str, Any]:
        return client.createTargetConnectionDatasetToDataLandingZone("x", baseConnectionId=base, **params)

    refused(aim(NOBODY, path="exports"), 400, "CONNECTION_NOT_USABLE")
    refused(aim(created(s3), path="exports"), 400, "CONNECTION_NOT_USABLE")
    refused(aim(zone, path="exports", datasetFileType="DELIMITED"), 400, "FIELD_INVALID")
    refused(aim(zone, path="exports", compression="ZIP"), 400, "FIELD_INVALID")
    refused(aim(zone), 400, "FIELD_INVALID")
    assert client.getTargetConnections() == []


# Flows.


def test_a_flow_reads_as_it_was_made(client: FlowService, dataset: str) -> None:
    start = int(time.time()) + 3600
    both = ends(client, dataset)
    schedule = every_3_hours(schedule_start_time=start, schedule_end_time=start + 86_400)
    flow = created(client.createFlowDataLakeToDataLandingZone("Orders", **both, **schedule))

    read = client.getFlow(flow)
    assert (read["id"], read["name"], read["state"]) == (flow, "Orders", "enabled")
    assert read["flowSpec"] == {"id": LANDING_ZONE_FLOW, "version": "1.0"}
    assert read["sourceConnectionIds"] == [both["source_connection_id"]]
    assert read["targetConnectionIds"] == [both["target_connection_id"]]
    assert read["transformations"] == []
    # The client sends the interval as a text and a frequency that means nothing here.
    expected = {"timeUnit": "hour", "interval": 3, "exportMode": "FIRST_FULL_THEN_INCREMENTAL", "frequency": "hour"}
    times = {"startTime": start, "endTime": start + 86_400, "foldernameTemplate": FOLDER}
    assert read["scheduleParams"] == expected | times
    inherited = read["inheritedAttributes"]
    assert inherited["properties"] == {"isDestinationFlow": True}
    assert inherited["sourceConnections"][0]["connectionSpec"]["id"] == DATA_LAKE
    assert inherited["targetConnections"][0]["data"] == {"outputType": "DATASET_EXPORT"}

    manager = FlowManager(flow)
    assert (manager.name, manager.state, manager.flowType) == ("Orders", "enabled", "destination")
    assert manager.flowTargetConnection["params"]["datasetFileType"] == "JSON"
    assert manager.getRuns() == []


def test_flows_are_listed_filtered_and_counted(client: FlowService, dataset: str) -> None:
    made = {make_flow(client, dataset, name): name for name in ("one", "two", "three")}
    for limit in (1, 2, 100):
        listed = client.getFlows(limit=limit)
        assert ids(listed) == made.keys() and newest_first(listed)
    assert client.data.flowId == {name: flow for flow, name in made.items()}
    assert len(client.getFlows(limit=1, n_results=2)) == 2

    two = client.data.flowId["two"]
    target = client.getFlow(two)["targetConnectionIds"][0]
    dataset_flows = "inheritedAttributes.targetConnections[].data.outputType==DATASET_EXPORT"
    assert ids(client.getFlows(onlyDestinations=True, limit=2)) == made.keys()
    assert client.getFlows(onlySources=True) == []
    assert ids(client.getFlows(prop=dataset_flows, limit=2)) == made.keys()
    assert ids(client.getFlows(prop="name==two")) == {two}
    assert ids(client.getFlows(prop=f"targetConnectionIds[]=={target}")) == {two}
    assert ids(client.getFlows(prop=f"id=={two},{NOBODY}")) == {two}
    assert ids(client.getFlows(filterTargetIds=[target])) == {two}
    client.postFlowAction(two, "disable")
    assert ids(client.getFlows(prop="state==disabled")) == {two}

    def count(**query: Any) -> dict[str, int]:
        return client.getResource(f"{client.endpoint}/flows", params={"limit": 100, "count": True} | query)

    assert count() == {"count": 3}
    assert count(property="name==two") == {"count": 1}
    refused(count(property="nothing==two"), 400, "FILTER_FIELD_INVALID")


def test_a_refused_flow_leaves_nothing_behind(client: FlowService, dataset: str) -> None:
    both = ends(client, dataset)

    def flow(spec: str = LANDING_ZONE_FLOW, **changed: Any) -> dict[str, Any]:
        schedule = every_3_hours(schedule_frequency="hour", schedule_interval=3)
        return client.createFlow(spec, name="x", **(both | schedule | changed))

    refused(flow(NOBODY), 400, "SPEC_NOT_VALID")
    refused(flow(source_connection_id=NOBODY), 400, "CONNECTION_NOT_USABLE")
    refused(flow(target_connection_id=both["source_connection_id"]), 400, "CONNECTION_NOT_USABLE")
    refused(flow(schedule_interval=5), 400, "SCHEDULE_INVALID")
    refused(flow(export_mode="DAILY_FULL_EXPORT"), 400, "SCHEDULE_INVALID")
    refused(flow(schedule_start_time=int(time.time() * 1000)), 400, "FIELD_INVALID")
    refused(flow(schedule_end_time=1), 400, "FIELD_INVALID")
    refused(flow(schedule_start_time=None), 400, "FIELD_INVALID")
    refused(flow(transformation_mapping_id="m"), 400, "FIELD_INVALID")
    assert client.getFlows() == []
    assert client.getFlow(NOBODY) == {}


def flow_spec_to(client: FlowService, spec: str) -> str:
    """The flow spec whose targets have that connection spec, found as the client finds it."""
    (found,) = [it["id"] for it in client.getFlowSpecs() if spec in it["targetConnectionSpecIds"]]
    return found


def target_of(client: FlowService, base: str, spec: str, **params: str) -> str:
    """A target on that base connection."""
    wanted = {"path": "exports", "compression": "NONE", "datasetFileType": "PARQUET"} | params
    body = {"name": "target", "baseConnectionId": base, "params": wanted}
    return created(client.createTargetConnection(data=body | {"connectionSpec": {"id": spec, "version": "1.0"}}))


def test_the_client_delivers_into_a_container(make: Callable[..., Offtake], tmp_path: Path) -> None:
    container = Container(tmp_path)
    service = make(**trusting()).start()
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(1000, files=4)
    point(service)
    client = FlowService()
    (made,) = Catalog().createDataSet({"name": "events", "location": "lake://default/events"})
    base = created(client.createBaseConnectionBlobTarget("blob", connectionString=container.sas_string()))
    assert client.getConnection(base)["auth"]["params"]["connectionString"] == "****"

    target = target_of(client, base, BLOB, container=container.name)
    both = ends(client, made.removeprefix("@/dataSets/")) | {"target_connection_id": target}
    schedule = every_3_hours(schedule_frequency="hour", schedule_interval=3)
    flow = created(client.createFlow(flow_spec_to(client, BLOB), name="blob", **both, **schedule))
    service.wait_for_run(created(client.createRun(flow)))
    container.check(table.next_row)
    container.remove()


def test_the_client_delivers_into_a_bucket(make: Callable[..., Offtake], bucket: Bucket) -> None:
    service = make(**ALLOWED).start()
    table = DeltaTable(service.data_dir / "lake" / "events")
    table.append(1000, files=4)
    point(service)
    client = FlowService()
    (made,) = Catalog().createDataSet({"name": "events", "location": "lake://default/events"})
    to = bucket.destination()
    # The client's own call knows no server but Amazon's.
    amazons = client.createBaseConnectionS3Target("s3", s3AccessKey="AKIAIOSFODNN7EXAMPLE", s3SecretKey="s" * 40)
    stored = client.getConnection(created(amazons))
    shown = stored["auth"]["params"]
    assert (shown["s3AccessKey"], shown["s3SecretKey"]) == ("AKIAIOSFODNN7EXAMPLE", "****")
    refused(client.createBaseConnectionS3Target("s3", s3AccessKey="lower", s3SecretKey="s" * 40), 400, "FIELD_INVALID")
    spec = {"id": S3, "version": "1.0"}
    base = created(client.createConnection(data={"name": "s3", "auth": to.auth, "connectionSpec": spec}))

    dataset = made.removeprefix("@/dataSets/")
    target = target_of(client, base, S3, bucketName=bucket.name, compression="GZIP", datasetFileType="JSON")
    both = ends(client, dataset) | {"target_connection_id": target}
    schedule = every_3_hours(schedule_frequency="hour", schedule_interval=3)
    flow = created(client.createFlow(flow_spec_to(client, S3), name="s3", **both, **schedule))
    refused(client.createFlow(LANDING_ZONE_FLOW, name="s3", **both, **schedule), 400, "CONNECTION_NOT_USABLE")

    runs = [service.wait_for_run(created(client.createRun(flow)))["id"]]
    appended = table.append(77)
    client.postFlowAction(flow, "disable")
    refused(client.createRun(flow), 400, "FLOW_STATE_INVALID")
    client.postFlowAction(flow, "enable")
    runs.append(service.wait_for_run(created(client.createRun(flow)))["id"])

    found = bucket.check(table.next_row)
    assert sorted(row_ids(found[1])) == list(appended)
    keys = [file["key"] for file in found[0].body["files"]]
    assert all(key.startswith("exports/") and key.endswith(".json.gz") for key in keys), keys
    assert ids(client.getRuns(prop=f"flowId=={flow}")) == set(runs)
    for run, delivered in zip(runs, found, strict=True):
        (read,) = client.getRun(run)
        assert read["metrics"]["recordSummary"]["outputRecordCount"] == delivered.body["totalRows"]
        assert read["metrics"]["sizeSummary"]["outputBytes"] == delivered.body["totalBytes"]


def test_a_flow_is_disabled_and_enabled_once_each(client: FlowService, dataset: str) -> None:
    flow = make_flow(client, dataset)
    first = client.getFlow(flow)["etag"]

    second = client.postFlowAction(flow, "disable")
    assert second["id"] == flow and second["etag"] != first
    assert client.getFlow(flow)["state"] == "disabled"
    assert client.getFlow(flow)["etag"] == second["etag"]
    again = client.postFlowAction(flow, "disable")
    refused(again, 400, "ACTION_NOT_ALLOWED")
    assert again["type"].endswith("FLOW-1422-400")
    refused(client.createRun(flow), 400, "FLOW_STATE_INVALID")

    assert client.postFlowAction(flow, "ENABLE")["id"] == flow
    assert client.getFlow(flow)["state"] == "enabled"
    refused(client.postFlowAction(flow, "enable"), 400, "ACTION_NOT_ALLOWED")
    refused(client.postFlowAction(flow, "explode"), 400, "ACTION_UNKNOWN")
    refused(client.postFlowAction(NOBODY, "enable"), 400, "ACTION_FLOW_UNKNOWN")
    assert client.getRuns() == []


def test_a_flow_is_edited_whole_or_not_at_all(client: FlowService, dataset: str) -> None:
    flow = make_flow(client, dataset)
    before = client.getFlow(flow)
    later = before["scheduleParams"]["startTime"] + 3600

    def update(etag: str, *operations: tuple[str, str, Any]) -> dict[str, Any]:
        parts = [{"op": op, "path": path, "value": value} for op, path, value in operations]
        return client.updateFlow(flow, etag, parts)

    moved = update(before["etag"], ("Replace", "/scheduleParams", {"startTime": later}))
    assert moved["id"] == flow and moved["etag"] != before["etag"]
    after = client.getFlow(flow)
    assert after["scheduleParams"] == before["scheduleParams"] | {"startTime": later}
    assert (after["lastOperation"]["operation"], after["etag"]) == ("update", moved["etag"])

    stale = update(before["etag"], ("Replace", "/name", "late"))
    refused(stale, 412, "VERSION_CONFLICT")
    assert stale["type"].endswith("FLOW-1404-412")
    rename = ("Replace", "/name", "half")
    refused(update(moved["etag"], rename, ("Replace", "/scheduleParams", {"interval": 5})), 400, "SCHEDULE_INVALID")
    refused(update(moved["etag"], rename, ("Replace", "/state", "disabled")), 400, "PATCH_PATH_INVALID")
    refused(update(moved["etag"], rename, ("Replace", "/nothing", 1)), 400, "PATCH_PATH_INVALID")
    refused(update(moved["etag"], rename, ("Move", "/name", "x")), 400, "PATCH_OPERATION_INVALID")
    unknown = client.updateFlow(NOBODY, "*", [{"op": "Replace", "path": "/name", "value": "x"}])
    refused(unknown, 404, "RESOURCE_NOT_FOUND")
    assert client.getFlow(flow) == after

    assert update(moved["etag"], ("replace", "/name", "new"), ("add", "/description", "text"))["id"] == flow
    renamed = client.getFlow(flow)
    assert (renamed["name"], renamed["description"]) == ("new", "text")
    assert renamed["scheduleParams"] == after["scheduleParams"]


def test_a_deleted_flow_is_gone_and_its_connections_stay(client: FlowService, dataset: str) -> None:
    kept, gone = make_flow(client, dataset, "kept"), make_flow(client, dataset, "gone")
    assert client.deleteFlow(gone) == 202
    assert client.getFlow(gone) == {}
    assert ids(client.getFlows()) == {kept}
    refused(client.deleteFlow(gone), 404, "RESOURCE_NOT_FOUND")
    refused(client.createRun(gone), 400, "FLOW_UNKNOWN")
    assert len(client.getSourceConnections()) == len(client.getTargetConnections()) == 2


# Runs.


def test_runs_deliver_every_row_once_and_say_so(
    service: Offtake, client: FlowService, table: DeltaTable, dataset: str
) -> None:
    flow = make_flow(client, dataset)
    etag = client.getFlow(flow)["etag"]
    first = service.wait_for_run(created(client.createRun(flow)))["id"]
    appended = table.append(77)
    second = service.wait_for_run(created(client.createRun(flow)))["id"]

    found = manifests(service.zone)
    assert [delivered.body["totalRows"] for delivered in found] == [1000, 77]
    assert sorted(row_ids(found[1])) == list(appended)
    for delivered in found:
        check_files(delivered)
    check_exactly_once(found, range(table.next_row))
    check_tiled(found)
    check_folder(service.zone, found)

    for run, delivered in zip((first, second), found, strict=True):
        (read,) = client.getRun(run)
        assert (read["id"], read["flowId"], status(read)) == (run, flow, "success")
        metrics, body = read["metrics"], delivered.body
        assert metrics["recordSummary"]["inputRecordCount"] == body["totalRows"]
        assert metrics["recordSummary"]["outputRecordCount"] == body["totalRows"]
        entity = metrics["recordSummary"]["targetSummaries"][0]["entitySummaries"][0]
        assert (entity["id"], entity["outputRecordCount"]) == (f"dataSet:{dataset}", body["totalRows"])
        assert metrics["sizeSummary"]["outputBytes"] == body["totalBytes"]
        assert metrics["fileSummary"]["outputFileCount"] == len(body["files"])
        times = metrics["durationSummary"]
        assert read["createdAt"] <= times["startedAtUTC"] <= times["completedAtUTC"]

    read = client.getFlow(flow)
    assert (read["lastRunDetails"]["id"], read["lastRunDetails"]["state"]) == (second, "success")
    assert read["etag"] == etag, "a run is no edit of its flow"
    assert ids(FlowManager(flow).getRuns(prop=["metrics.statusSummary.status==success"])) == {first, second}


def test_runs_are_listed_and_filtered(service: Offtake, client: FlowService, dataset: str) -> None:
    mine, other = make_flow(client, dataset, "mine"), make_flow(client, dataset, "other")
    runs = [service.wait_for_run(created(client.createRun(mine)))["id"] for _ in range(3)]
    service.wait_for_run(created(client.createRun(other)))

    assert len(client.getRuns()) == 4
    of_mine = f"flowId=={mine}"
    for limit in (1, 2, 100):
        listed = client.getRuns(limit=limit, prop=of_mine)
        assert ids(listed) == set(runs) and newest_first(listed)

    def matching(*more: str) -> set[str]:
        return ids(client.getRuns(limit=1, prop=[of_mine, *more]))

    assert matching("metrics.statusSummary.status==success") == set(runs)
    assert matching("metrics.statusSummary.status==failed") == set()
    assert matching("metrics.recordSummary.outputRecordCount>0") == {runs[0]}
    assert matching("metrics.recordSummary.outputRecordCount==0") == set(runs[1:])
    assert matching(f"id=={runs[0]},{runs[2]}") == {runs[0], runs[2]}
    entity = f"metrics.recordSummary.targetSummaries[].entitySummaries[].id==dataSet:{dataset}"
    assert matching(entity) == set(runs)
    started = client.getRun(runs[2])[0]["metrics"]["durationSummary"]["startedAtUTC"]
    assert runs[2] in matching(f"metrics.durationSummary.startedAtUTC>={started}")
    assert matching(f"metrics.durationSummary.startedAtUTC>{started}") == set()

    refused(client.getRun(NOBODY), 404, "RESOURCE_NOT_FOUND")
    refused(client.createRun(NOBODY), 400, "FLOW_UNKNOWN")
    windowed = client.createRun(mine, params={"windowStartTime": 1})
    refused(windowed, 400, "FIELD_INVALID")
    assert "windowStartTime" in windowed["detail"]
    assert ids(client.getRuns(prop=of_mine)) == set(runs)


def test_a_full_run_sends_everything_again(service: Offtake, client: FlowService, dataset: str) -> None:
    flow = make_flow(client, dataset)
    service.wait_for_run(created(client.createRun(flow)))
    full = service.wait_for_run(created(client.createRun(flow, params={"full": True})))
    assert full["metrics"]["recordSummary"]["outputRecordCount"] == 1000
    assert [delivered.body["mode"] for delivered in manifests(service.zone)] == ["full", "full-resync"]


def test_an_export_once_runs_once(service: Offtake, client: FlowService, dataset: str) -> None:
    start = int(time.time()) - 60
    once = {"schedule_frequency": "once", "schedule_start_time": start}
    flow = created(client.createFlow(LANDING_ZONE_FLOW, name="once", **ends(client, dataset), **once))
    schedule = {"timeUnit": "day", "interval": 0, "exportMode": "DAILY_FULL_EXPORT"}
    assert client.getFlow(flow)["scheduleParams"] == schedule | {"startTime": start, "foldernameTemplate": FOLDER}
    run = service.first_run(flow)
    service.wait_for_run(run)
    check_exactly_once(manifests(service.zone), range(1000))
    assert ids(client.getRuns(prop=f"flowId=={flow}")) == {run}
    assert client.getFlow(flow)["state"] == "enabled"


# The landing zone.


def test_the_clients_landing_zone_functions_work(service: Offtake, client: FlowService, dataset: str) -> None:
    flow = make_flow(client, dataset, schedule_start_time=int(time.time()) - 60)
    service.wait_for_run(service.first_run(flow))
    for kind in ("user_drop_zone", "dlz_destination"):
        assert client.getLandingZoneContainer(kind) == {"containerName": "dlz-destination", "containerTTL": "0"}
        assert client.getLandingZoneStorageName(kind) == "dlz-destination"
        assert client.getLandingZoneStorageTTL(kind) == 0
        assert client.getLandingZoneNamespace(kind) == client.getLandingZoneCredential(kind)["storageAccountName"]
        uri = client.getLandingZoneSASUri(kind)
        assert uri.endswith(f"?{client.getLandingZoneSASToken(kind)}")
        with ContainerClient.from_container_url(uri) as container:
            names = list(container.list_blob_names())
        assert sum(name.endswith(".manifest") for name in names) == 1
    (top,) = client.exploreLandingZone()
    assert (top["type"], top["name"], top["path"]) == ("folder", "exports", "/exports/")
    below = client.exploreLandingZone(objectType="folder", object="/exports/")
    assert "_offtake" in {entry["name"] for entry in below}


# What the client builds of several calls.


@pytest.mark.parametrize(
    ("wanted", "ending"),
    [
        ({"fileType": "JSON"}, ".json.gz"),
        ({"fileType": "PARQUET", "compression": "NONE"}, ".parquet"),
        ({"scheduleUnit": "hour", "scheduleInterval": "12"}, ".json.gz"),
    ],
)
def test_the_clients_export_in_one_call_delivers(
    service: Offtake, client: FlowService, dataset: str, wanted: dict[str, str], ending: str
) -> None:
    made = client.exportDatasetToDLZ([dataset], scheduleStart=int(time.time()), path="one/call", **wanted)
    service.wait_for_run(service.first_run(created(made)))
    (delivered,) = manifests(service.zone)
    assert all(file["key"].startswith("one/call/") and file["key"].endswith(ending) for file in delivered.body["files"])
    check_exactly_once([delivered], range(1000))
    with pytest.raises(Exception, match=NO_DATASET):
        client.exportDatasetToDLZ([NO_DATASET], scheduleStart=int(time.time()))
    assert len(client.getFlows()) == 1


def test_the_clients_scheduled_export_makes_one_flow_and_finds_it_again(
    service: Offtake, client: FlowService, dataset: str, tmp_path: Path
) -> None:
    memory = tmp_path / "client.ini"
    memory.write_text("[Platform]\ndataflow_id =\n")

    def export() -> str:
        # In lower case, and with `auth: null` in its base connection.
        return ExportDatasetToDataLandingZone().createDataFlowRunIfNotExists(
            dataset,
            compression_type="gzip",
            data_format="parquet",
            export_path="notebook",
            on_schedule=True,
            config_path=str(memory),
            entity_name="notebook",
        )

    flow = export()
    service.wait_for_run(service.first_run(flow))
    (delivered,) = manifests(service.zone)
    assert all(file["key"].endswith(".gz.parquet") for file in delivered.body["files"])
    check_exactly_once([delivered], range(1000))

    client.postFlowAction(flow, "disable")
    assert export() == flow
    assert client.getFlow(flow)["state"] == "enabled"
    assert ids(client.getFlows()) == {flow}
