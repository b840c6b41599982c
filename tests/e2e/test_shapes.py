"""The documented shapes, held against real answers: every documented field is there with its documented type, and what
is there beyond them is an extension that the documentation lists.

Our OpenAPI document is not asked: it is made of the same types as the answers and cannot judge them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ingest import EXPORT, IMPORT, ingest, lines, new_dataset
from offtake import CATALOG, DATA_LAKE, FLOWS, S3, Offtake
from table import DeltaTable

EXTENSIONS = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "extensions.md").read_text()

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ETAG = re.compile(r'"[0-9a-f]{8}-0000-0200-0000-[0-9a-f]{12}"')
ORG = re.compile(r"[0-9A-F]{24}@AdobeOrg")
DATASET = re.compile(r"[0-9a-f]{24}")
BATCH = re.compile(r"[0-9A-Z]{26}")
MILLIS = range(1_500_000_000_000, 4_000_000_000_000)
DIGITS = re.compile(r"\d+")


class Maybe:
    """A documented field that an answer may lack."""

    def __init__(self, shape: Any) -> None:
        self.shape = shape


def check(value: Any, shape: Any, at: str = "answer") -> None:
    """Demands that the value has the shape: a type, a pattern, a range, words, a list of a shape, or fields."""
    match shape:
        case type():
            right = isinstance(value, shape) and not (shape is int and isinstance(value, bool))
            assert right, f"{at} is {value!r}, not {shape.__name__}"
        case re.Pattern():
            assert isinstance(value, str) and shape.fullmatch(value), f"{at} is {value!r}, not /{shape.pattern}/"
        case range():
            assert isinstance(value, int) and value in shape, f"{at} is {value!r}, not in {shape}"
        case set():
            assert value in shape, f"{at} is {value!r}, not one of {shape}"
        case [inner]:
            assert isinstance(value, list) and value, f"{at} is {value!r}, not a list with something in it"
            for number, item in enumerate(value):
                check(item, inner, f"{at}[{number}]")
        case []:
            assert value == [], f"{at} is {value!r}, not an empty list"
        case dict():
            assert isinstance(value, dict), f"{at} is {value!r}, not an object"
            for name, inner in shape.items():
                if isinstance(inner, Maybe):
                    if name in value:
                        check(value[name], inner.shape, f"{at}.{name}")
                    continue
                assert name in value, f"{at} lacks `{name}`: {sorted(value)}"
                check(value[name], inner, f"{at}.{name}")
            for name in value.keys() - shape.keys():
                assert f"`{name}`" in EXTENSIONS or f".{name}`" in EXTENSIONS, f"{at}.{name} is in no documentation"
        case _:
            raise AssertionError(f"{shape!r} is no shape")


COMMON = {
    "id": UUID,
    "createdAt": MILLIS,
    "updatedAt": MILLIS,
    "createdBy": str,
    "updatedBy": str,
    "createdClient": str,
    "updatedClient": str,
    "sandboxId": UUID,
    "sandboxName": {"prod"},
    "imsOrgId": ORG,
}
SPEC = {"id": UUID, "version": {"1.0"}}
HEAD = {"id": UUID, "connectionSpec": SPEC}
ENTITY = COMMON | {"name": str, "version": ETAG, "etag": ETAG}
CONNECTION = ENTITY | {
    "state": {"enabled"},
    "connectionSpec": SPEC,
    "description": Maybe(str),
    "auth": Maybe({"specName": str, "params": dict}),
}
SOURCE = ENTITY | {
    "state": {"enabled"},
    "connectionSpec": SPEC,
    "description": Maybe(str),
    "baseConnectionId": Maybe(UUID),
    "data": Maybe(dict),
    "params": {"datasets": [{"dataSetId": DATASET, "name": str}]},
    "inheritedAttributes": {"baseConnection": Maybe(HEAD)},
}
TARGET = ENTITY | {
    "state": {"enabled"},
    "connectionSpec": SPEC,
    "description": Maybe(str),
    "baseConnectionId": UUID,
    "params": {
        "path": str,
        "mode": {"Server-to-server"},
        "compression": {"NONE", "GZIP"},
        "datasetFileType": {"JSON", "PARQUET"},
        "includeFileManifest": Maybe(bool),
    },
    "inheritedAttributes": {"baseConnection": HEAD},
}
LAST_OPERATION = {
    "started": MILLIS,
    "updated": MILLIS,
    "percentCompleted": range(101),
    "status": {"value": {"completed"}, "properties": type(None), "errors": []},
    "ops": list,
    "operation": {"create", "update", "enable", "disable"},
}
FLOW = ENTITY | {
    "description": str,
    "state": {"enabled", "disabled"},
    "flowSpec": SPEC,
    "sourceConnectionIds": [UUID],
    "targetConnectionIds": [UUID],
    "inheritedAttributes": {
        "properties": {"isDestinationFlow": {True}},
        "sourceConnections": [HEAD],
        "targetConnections": [HEAD | {"baseConnection": HEAD, "data": {"outputType": {"DATASET_EXPORT"}}}],
    },
    "scheduleParams": {
        "interval": int,
        "timeUnit": {"hour", "day"},
        "startTime": range(1_500_000_000, 4_000_000_000),
        "endTime": Maybe(int),
        "exportMode": Maybe(str),
        "foldernameTemplate": Maybe(str),
    },
    "transformations": [],
    "runs": str,
    "lastOperation": LAST_OPERATION,
    "lastRunDetails": Maybe(
        {"id": UUID, "state": str, "startedAtUTC": Maybe(MILLIS), "completedAtUTC": Maybe(MILLIS)}
    ),
}
INFO = {"code": str, "message": str, "count": Maybe(int), "type": {"Error", "Warning"}}
DURATION = {"startedAtUTC": MILLIS, "completedAtUTC": MILLIS}
SIZES = {"inputBytes": int, "outputBytes": int}
STATUS = {"status": {"success", "failed"}, "errors": Maybe(list), "activityRefs": Maybe([UUID]), "extensions": Maybe(dict)}
READ = {"inputRecordCount": int, "skippedRecordCount": int}
WRITTEN = {"createdRecordCount": int, "outputRecordCount": int}
OF_DATASET = {"id": re.compile("dataSet:[0-9a-f]{24}")}
FILES = {
    "inputFileCount": int,
    "outputFileCount": int,
    "manifest": Maybe({"fileInfo": [{"path": str, "outputBytes": int, "pathPrefix": str}]}),
}
RUN = COMMON | {
    "etag": ETAG,
    "flowId": UUID,
    "flowSpec": SPEC,
    "providerRefId": re.compile("[0-9a-f]{32}"),
    "metrics": {
        "durationSummary": DURATION,
        "latencySummary": dict,
        "sizeSummary": SIZES,
        "recordSummary": READ
        | WRITTEN
        | {
            "failedRecordCount": int,
            "sourceSummaries": [READ | {"id": UUID, "entitySummaries": [READ | OF_DATASET]}],
            "targetSummaries": [WRITTEN | {"id": UUID, "entitySummaries": [WRITTEN | OF_DATASET]}],
            "skippedInfo": list,
            "failedInfo": list,
            "warningInfo": Maybe(list),
        },
        "fileSummary": FILES,
        "statusSummary": STATUS,
    },
    "activities": [
        {
            "id": UUID,
            "name": str,
            "updatedAtUTC": MILLIS,
            "durationSummary": DURATION,
            "latencySummary": dict,
            "sizeSummary": SIZES,
            "recordSummary": READ | WRITTEN,
            "fileSummary": FILES,
            "statusSummary": STATUS,
        }
    ],
}
CREATED = {"id": UUID, "etag": ETAG}
LIST = {"items": list, "_links": dict}
CATALOGUED = {
    "name": str,
    "imsOrg": ORG,
    "sandboxId": UUID,
    "version": re.compile(r"\d+\.\d+\.\d+"),
    "created": MILLIS,
    "updated": MILLIS,
    "createdClient": str,
    "createdUser": str,
    "updatedUser": str,
    "tags": dict,
    "classification": {"dataBehavior": {"record", "time-series"}, "managedBy": {"CUSTOMER", "SYSTEM"}},
    "fileDescription": {"persisted": bool, "containerFormat": str, "format": str},
    "aspect": {"production"},
    "state": {"DRAFT"},
    "viewId": str,
    "files": str,
    "lastBatchId": Maybe(BATCH),
    "lastBatchStatus": Maybe(str),
    "lastSuccessfulBatch": Maybe(BATCH),
    "lastFailedBatch": Maybe(BATCH),
}
BATCHED = {
    "id": BATCH,
    "imsOrg": ORG,
    "status": {"success"},
    "created": MILLIS,
    "updated": MILLIS,
    "started": MILLIS,
    "completed": MILLIS,
    "relatedObjects": [{"type": {"dataSet"}, "id": DATASET}],
    "version": str,
    "tags": dict,
    "createdUser": str,
    "updatedUser": str,
    "createdClient": str,
    "inputFormat": dict,
    "externalId": Maybe(str),
    "metrics": {
        "inputByteSize": int,
        "inputRecordCount": int,
        "inputFileCount": int,
        "outputByteSize": int,
        "outputRecordCount": int,
        "outputFileCount": int,
        "partitionCount": int,
        "failedRecordCount": int,
    },
    "errors": list,
}
SELF = {"self": {"href": str}}
PAGE = {"limit": int, "count": int}
PROBLEM = {
    "type": re.compile(r"http://ns\.adobe\.com/aep/errors/FLOW-\d{4}-\d{3}"),
    "title": str,
    "status": int,
    "detail": str,
    "report": {
        "tenantInfo": {"sandboxName": str, "sandboxId": UUID, "imsOrgId": ORG},
        "additionalContext": dict,
    },
    "error-chain": [
        {
            "serviceId": {"FLOW"},
            "errorCode": re.compile(r"FLOW-\d{4}-\d{3}"),
            "invokingServiceId": str,
            "unixTimeStampMs": MILLIS,
        }
    ],
    "errorMessage": str,
    "errorDetails": str,
    "message": Maybe(str),
}


@pytest.fixture
def flow(service: Offtake, table: DeltaTable) -> str:
    """A flow over the table, with a run that succeeded."""
    made = service.make_flow(service.add_dataset("events", "lake://default/events"))
    service.wait_for_run(service.start_run(made))
    return made


def item(service: Offtake, collection: str, name: str) -> dict[str, Any]:
    """One entity by id, out of its wrapper."""
    answer = service.call("GET", f"{FLOWS}/{collection}/{name}")
    check(answer.body, LIST)
    (one,) = answer.body["items"]
    return one


def test_entities_have_the_documented_shapes(service: Offtake, flow: str) -> None:
    read = item(service, "flows", flow)
    check(read, FLOW)
    check(item(service, "sourceConnections", read["sourceConnectionIds"][0]), SOURCE)
    target = item(service, "targetConnections", read["targetConnectionIds"][0])
    check(target, TARGET)
    check(item(service, "connections", target["baseConnectionId"]), CONNECTION)
    for name, shape in [("flows", FLOW), ("runs", RUN), ("connections", CONNECTION)]:
        listed = service.call("GET", f"{FLOWS}/{name}").body
        check(listed, {"items": [shape], "_links": dict})
        assert service.call("GET", f"{FLOWS}/{name}?count=true").body == {"count": len(listed["items"])}
    auth = {"specName": "Access Key", "params": {"s3AccessKey": "AKIAIOSFODNN7EXAMPLE", "s3SecretKey": "s" * 40}}
    body = {"name": "s3", "auth": auth, "connectionSpec": {"id": S3, "version": "1.0"}}
    made = service.call("POST", f"{FLOWS}/connections", body)
    check(made.body, CREATED)
    shown = item(service, "connections", made.body["id"])
    check(shown, CONNECTION)
    params = {"s3AccessKey": str, "s3SecretKey": {"****"}, "authorizedDate": re.compile(r"\d{4}-\d\d-\d\d")}
    check(shown["auth"]["params"], params)
    page = service.call("GET", f"{FLOWS}/connections?limit=1").body
    check(page["_links"], {"next": {"href": re.compile(r"/connections\?continuationToken=[^=&?]+")}})


def test_runs_have_the_documented_shape(service: Offtake, flow: str) -> None:
    (run,) = service.runs(flow)
    check(run, RUN)
    records = run["metrics"]["recordSummary"]
    lost = records["skippedRecordCount"] + records["failedRecordCount"]
    assert records["inputRecordCount"] == records["outputRecordCount"] + lost
    for side in ("sourceSummaries", "targetSummaries"):
        for name, total in records[side][0].items():
            if name.endswith("Count"):
                assert total == sum(entity[name] for entity in records[side][0]["entitySummaries"]) == records[name]


def test_specs_have_the_documented_shapes(service: Offtake, flow: str) -> None:
    rule = {"name": str, "type": str, "spec": dict}
    common = {"id": UUID, "name": str, "providerId": UUID, "version": {"1.0"}}
    specs = service.call("GET", f"{FLOWS}/connectionSpecs").body["items"]
    assert len(specs) == 7
    for spec in specs:
        shape = common | {"authSpec": list, "encryptionSpecs": list, "attributes": Maybe(dict)}
        shape |= {"targetSpec": Maybe(rule | {"attributes": Maybe(dict)}), "sourceSpec": Maybe(dict)}
        check(spec, shape | {"exploreSpec": Maybe(dict), "permissionsInfo": Maybe(dict)})
        for auth in spec["authSpec"]:
            check(auth, rule)
    for spec in service.call("GET", f"{FLOWS}/flowSpecs").body["items"]:
        ids = {"sourceConnectionSpecIds": [UUID], "targetConnectionSpecIds": [UUID]}
        rest = {"optionSpec": Maybe(dict), "transformationSpecs": Maybe(list), "scheduleSpec": Maybe(rule)}
        check(spec, common | ids | rest | {"attributes": dict, "permissionsInfo": Maybe(dict)})
        assert "DATASETS" in str(spec["attributes"]["_workflow"])
    asked = "outputType=activationDatasets&outputField=datasets"
    configs = service.call("GET", f"{FLOWS}/connectionSpecs/{DATA_LAKE}/configs?{asked}").body
    page = {"start": {0}, "end": {0}, "total": {1}, "hasNext": {False}}
    check(configs, {"items": [CATALOGUED | {"id": DATASET}], "pageInfo": page})


def test_the_catalogue_batches_and_files_have_the_documented_shapes(service: Offtake) -> None:
    dataset = new_dataset(service)
    batch = ingest(service, dataset, {"a.json": lines([{"id": 1}])})
    (named,) = service.call("GET", f"{CATALOG}/dataSets/{dataset}").body.items()
    assert named[0] == dataset
    check(named[1], CATALOGUED)
    check(service.call("GET", f"{CATALOG}/batches/{batch}").body[batch], BATCHED)
    check(service.call("GET", f"{IMPORT}/batches/{batch}").body, BATCHED)
    files = service.call("GET", f"{EXPORT}/batches/{batch}/files").body
    file = {
        "dataSetFileId": re.compile(f"{batch}-\\d+"),
        "dataSetViewId": str,
        "version": str,
        "created": DIGITS,
        "updated": DIGITS,
        "records": DIGITS,
        "size": DIGITS,
        "isValid": {False},
        "_links": SELF,
    }
    check(files, {"data": [file], "_page": PAGE, "_links": dict})
    parts = service.call("GET", f"{EXPORT}/files/{files['data'][0]['dataSetFileId']}").body
    check(parts, {"data": [{"name": str, "length": DIGITS, "_links": SELF}], "_page": PAGE, "_links": Maybe(dict)})
    check(service.call("GET", f"{EXPORT}/datasets/{dataset}/preview").body["data"], [{"id": {1}}])


def test_sandboxes_have_the_documented_shape(service: Offtake) -> None:
    sandbox = {
        "id": UUID,
        "name": {"prod"},
        "title": str,
        "state": {"active"},
        "type": {"production", "development"},
        "region": str,
        "isDefault": {True},
        "etag": int,
        "createdDate": str,
        "lastModifiedDate": str,
        "createdBy": str,
        "modifiedBy": str,
    }
    path = "/data/foundation/sandbox-management/sandboxes"
    check(service.call("GET", f"{path}/prod").body, sandbox)
    check(service.call("GET", path).body, {"sandboxes": [sandbox], "_page": PAGE, "_links": dict})


def test_problems_have_every_documented_shape_at_once(service: Offtake) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    missing = service.call("GET", f"{FLOWS}/flows/{nobody}")
    check(missing.body, PROBLEM)
    assert missing.body["errorMessage"] == f"flows not found with id = [{nobody}]"
    check(service.call("POST", f"{FLOWS}/flows", {}).body, PROBLEM | {"message": str})
    bare = service.raw("GET", f"{FLOWS}/flows", None, {})
    check(bare.body, {"error_code": {"403010"}, "message": {"Oauth token is missing."}})
