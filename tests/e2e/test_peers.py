"""The peers that stand in for servers nobody offers: each rule that they claim is met by the vendor's own client.

Every check is made twice: against the peer as it is, and against one with that single rule switched off, where the
check must fail. So no check passes for another reason than the rule it names.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError
from azure.identity import ClientSecretCredential
from azure.storage.filedatalake import DataLakeServiceClient, FileSystemClient
from botocore.config import Config
from botocore.exceptions import ClientError

from bed import Start, known, need


def refused(code: str, call: Callable[[], Any]) -> None:
    """The call fails, and with that code."""
    try:
        call()
    except ClientError as error:
        found = error.response["Error"]["Code"]
    except HttpResponseError as error:
        # A refused secret speaks of itself in the text only.
        code_of_storage = getattr(error, "error_code", None)
        found = getattr(code_of_storage, "value", str(error))
    except AzureError as error:
        found = str(error)
    else:
        raise AssertionError(f"accepted, but {code} was to come")
    assert code in found, found


# The Data Lake, by Microsoft's SDK.

TENANT, ACCOUNT, SYSTEM = "22222222-2222-2222-2222-222222222222", "lake", "exports"


class Lake:
    """What the Data Lake checks need: clients for one peer."""

    def __init__(self, port: int) -> None:
        self.authority = f"https://localhost:{port}"
        self.ca = need("CA")

    def credential(self, client: str = "writer", secret: str | None = None) -> ClientSecretCredential:
        known = {"authority": self.authority, "disable_instance_discovery": True, "connection_verify": self.ca}
        return ClientSecretCredential(TENANT, client, secret or f"{client}-secret", retry_total=0, **known)

    def system(self, client: str = "writer", credential: Any = None) -> FileSystemClient:
        service = DataLakeServiceClient(
            f"{self.authority}/{ACCOUNT}",
            credential or self.credential(client),
            connection_verify=self.ca,
            retry_total=0,
        )
        return service.get_file_system_client(SYSTEM)


class OfGraph:
    """A credential whose tokens are meant for another service."""

    def __init__(self, inner: ClientSecretCredential) -> None:
        self.inner = inner

    def get_token(self, *_: str, **__: Any) -> Any:
        return self.inner.get_token("https://graph.microsoft.com/.default")


def a_wrong_secret(lake: Lake) -> None:
    system = lake.system(credential=lake.credential(secret="wrong"))
    refused("AADSTS7000215", system.get_file_system_properties)


def a_token_for_another_service(lake: Lake) -> None:
    refused("InvalidAuthenticationInfo", lambda: lake.system(credential=OfGraph(lake.credential())).create_file("a"))


def a_reader_who_writes(lake: Lake) -> None:
    lake.system("reader").get_file_system_properties()
    refused("AuthorizationPermissionMismatch", lambda: lake.system("reader").create_file("a"))


def a_second_creation(lake: Lake) -> None:
    file = lake.system().create_file("here")
    refused("PathAlreadyExists", lambda: file.create_file(match_condition=MatchConditions.IfMissing))


def a_rename_onto_a_file(lake: Lake) -> None:
    system = lake.system()
    system.get_file_client("taken").upload_data(b"theirs", overwrite=True)
    system.get_file_client("hidden").upload_data(b"ours", overwrite=True)
    hidden = system.get_file_client("hidden")
    absent = {"match_condition": MatchConditions.IfMissing}
    refused("PathAlreadyExists", lambda: hidden.rename_file(f"{SYSTEM}/taken", **absent))
    assert system.get_file_client("taken").download_file().readall() == b"theirs"


def a_rename_into_no_folder(lake: Lake) -> None:
    file = lake.system().create_file("hidden")
    refused("RenameDestinationParentPathNotFound", lambda: file.rename_file(f"{SYSTEM}/nowhere/visible"))


def a_rename_of_what_has_changed(lake: Lake) -> None:
    file = lake.system().create_file("changing")
    before = file.get_file_properties().etag
    file.upload_data(b"other", overwrite=True)
    known = {"source_etag": before, "source_match_condition": MatchConditions.IfNotModified}
    refused("SourceConditionNotMet", lambda: file.rename_file(f"{SYSTEM}/changed", **known))


def metadata_after_a_rename(lake: Lake) -> None:
    file = lake.system().create_file("told", metadata={"whose": "a/1/b"})
    assert file.get_file_properties().metadata == {"whose": "a/1/b"}
    renamed = file.rename_file(f"{SYSTEM}/retold")
    assert renamed.get_file_properties().metadata == {"whose": "a/1/b"}


def a_flush_over_a_gap(lake: Lake) -> None:
    file = lake.system().create_file("gap")
    file.append_data(b"first", 0)
    file.append_data(b"third", 10)
    refused("InvalidFlushPosition", lambda: file.flush_data(15))


def data_before_its_flush(lake: Lake) -> None:
    file = lake.system().create_file("slow")
    file.append_data(b"data", 0)
    assert file.get_file_properties().size == 0
    file.flush_data(4)
    assert file.download_file().readall() == b"data"


def a_wrong_digest(lake: Lake) -> None:
    file = lake.system().create_file("bent")
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    refused("Md5Mismatch", lambda: file.append_data(b"data", 0, headers={"Content-MD5": wrong}))


def a_folder_with_a_file(lake: Lake) -> None:
    system = lake.system()
    system.create_file("folder/file")
    refused("DirectoryNotEmpty", lambda: system.get_file_client("folder").delete_file())


LAKE_CHECKS = {
    "client-secret": a_wrong_secret,
    "audience": a_token_for_another_service,
    "roles": a_reader_who_writes,
    "create-condition": a_second_creation,
    "rename-condition": a_rename_onto_a_file,
    "rename-parent": a_rename_into_no_folder,
    "rename-source-condition": a_rename_of_what_has_changed,
    "rename-properties": metadata_after_a_rename,
    "flush-position": a_flush_over_a_gap,
    "unflushed-invisible": data_before_its_flush,
    "content-md5": a_wrong_digest,
    "directory-not-empty": a_folder_with_a_file,
}


@pytest.fixture
def lake(start: Start, tmp_path: Path) -> Callable[..., Lake]:
    """Starts a Data Lake peer, perhaps without one of its rules."""

    def one(*options: str) -> Lake:
        tls = Path(need("CA")).parent
        root = tmp_path / "lake"
        (root / SYSTEM).mkdir(parents=True)
        files = ["--root", str(root), "--cert", str(tls / "server.pem"), "--key", str(tls / "server.key")]
        apps = ["--app", "writer:writer-secret:reader+writer", "--app", "reader:reader-secret:reader"]
        return Lake(start("adls.py", *files, "--account", ACCOUNT, "--tenant", TENANT, *apps, *options))

    return one


def test_microsofts_client_meets_every_rule_of_the_data_lake_peer(lake: Callable[..., Lake]) -> None:
    whole = lake()
    for check in LAKE_CHECKS.values():
        check(whole)


@pytest.mark.parametrize("rule", LAKE_CHECKS)
def test_a_data_lake_check_fails_when_its_rule_is_switched_off(lake: Callable[..., Lake], rule: str) -> None:
    bent = lake("--without", rule)
    with pytest.raises(AssertionError):
        LAKE_CHECKS[rule](bent)


def test_large_files_listings_and_folders_work_as_microsofts_client_expects(lake: Callable[..., Lake]) -> None:
    system = lake().system()
    data = bytes(range(256)) * 40_000
    system.get_file_client("a b/é%.parquet").upload_data(data, overwrite=True, chunk_size=4 << 20)
    assert system.get_file_client("a b/é%.parquet").download_file().readall() == data
    system.create_file("a b/hidden").rename_file(f"{SYSTEM}/a b/visible")
    assert [it.name for it in system.get_paths("a b")] == ["a b/visible", "a b/é%.parquet"]
    system.get_directory_client("a b").rename_directory(f"{SYSTEM}/c")
    system.get_directory_client("c").delete_directory()
    assert not system.get_file_client("c/visible").exists()


# Google Cloud Storage, by the client that its documentation names for HMAC keys, and by curl in Google's own spelling.

ACCESS_ID, SECRET = "GOOG1EPEER", "peer-secret"


class Store:
    """What the Google checks need: clients for one gate, and a bucket."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.bucket = f"peer-{uuid.uuid4().hex}"
        self.client().create_bucket(Bucket=self.bucket)

    def client(self, secret: str = SECRET, checksums: str = "when_required") -> Any:
        settings = Config(
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            request_checksum_calculation=checksums,
        )
        keys = {"aws_access_key_id": ACCESS_ID, "aws_secret_access_key": secret}
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="auto", config=settings, **keys)

    def call(self, operation: str, **params: Any) -> Any:
        return getattr(self.client(), operation)(Bucket=self.bucket, **params)

    def adding(self, operation: str, headers: dict[str, str], **params: Any) -> Any:
        """A call with more headers than the client knows of."""
        client = self.client()

        def add(request: Any, **_: Any) -> None:
            for name, value in headers.items():
                request.headers[name] = value

        client.meta.events.register("before-sign.s3", add)
        return getattr(client, operation)(Bucket=self.bucket, **params)

    def curl(self, key: str, *options: str) -> str:
        """A call in Google's spelling: its status."""
        signed = ["--aws-sigv4", "goog:goog:auto:storage", "--user", f"{ACCESS_ID}:{SECRET}"]
        unsigned = ["--header", "x-goog-content-sha256: UNSIGNED-PAYLOAD"]
        shown = ["--silent", "--output", "/dev/null", "--write-out", "%{http_code}"]
        url = f"{self.endpoint}/{self.bucket}/{key}"
        call = ["curl", "--noproxy", "*", *shown, *signed, *unsigned, *options, url]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout


def headers_of_both_families(store: Store) -> None:
    add = {"x-goog-if-generation-match": "0"}
    refused("ExcessHeaderValues", lambda: store.adding("put_object", add, Key="a", Body=b"a"))


def amazons_checksums(store: Store) -> None:
    refused("ExcessHeaderValues", lambda: store.call("put_object", Key="a", Body=b"a", ChecksumAlgorithm="SHA256"))


def a_signed_accept_encoding(store: Store) -> None:
    add = {"Accept-Encoding": "identity"}
    refused("SignatureDoesNotMatch", lambda: store.adding("put_object", add, Key="a", Body=b"a"))


def conditions_of_s3_on_a_write(store: Store) -> None:
    store.call("put_object", Key="a", Body=b"first")
    try:
        store.call("put_object", Key="a", Body=b"second", IfNoneMatch="*")
    except ClientError as error:
        raise AssertionError("the condition was heeded") from error


def googles_own_condition(store: Store) -> None:
    once = ["--header", "x-goog-if-generation-match: 0", "--upload-file", "-"]
    assert store.curl("once", *once) == "200"
    assert store.curl("once", *once) == "412"


def a_part_copied(store: Store) -> None:
    store.call("put_object", Key="a", Body=b"a")
    upload = store.call("create_multipart_upload", Key="b")["UploadId"]
    part = {"Key": "b", "UploadId": upload, "PartNumber": 1, "CopySource": f"{store.bucket}/a"}
    refused("NotImplemented", lambda: store.call("upload_part_copy", **part))


def tags(store: Store) -> None:
    refused("NotImplemented", lambda: store.call("put_object", Key="a", Body=b"a", Tagging="a=b"))


def classes_of_amazon(store: Store) -> None:
    refused("InvalidArgument", lambda: store.call("put_object", Key="a", Body=b"a", StorageClass="STANDARD_IA"))


def a_body_unlike_its_digest(store: Store) -> None:
    wrong = ["--header", "x-goog-hash: crc32c=AAAAAA==", "--data-binary", "data", "--request", "PUT"]
    assert store.curl("a", *wrong) == "400"


def the_etag_of_an_upload_in_parts(store: Store) -> None:
    upload = store.call("create_multipart_upload", Key="a")["UploadId"]
    part = store.call("upload_part", Key="a", UploadId=upload, PartNumber=1, Body=b"data")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    store.call("complete_multipart_upload", Key="a", UploadId=upload, MultipartUpload=parts)
    assert not store.call("head_object", Key="a")["ETag"].strip('"').endswith("-1")


def a_zipped_object(store: Store) -> None:
    zipped = gzip.compress(b"plain")
    store.call("put_object", Key="a", Body=zipped, ContentEncoding="gzip")
    assert store.call("get_object", Key="a")["Body"].read() == b"plain"


STORE_CHECKS = {
    "no-mixed-families": headers_of_both_families,
    "no-checksum-headers": amazons_checksums,
    "no-signed-accept-encoding": a_signed_accept_encoding,
    "conditions-ignored": conditions_of_s3_on_a_write,
    "generation-match": googles_own_condition,
    "no-part-copy": a_part_copied,
    "no-tagging": tags,
    "storage-classes": classes_of_amazon,
    "digests": a_body_unlike_its_digest,
    "opaque-etag": the_etag_of_an_upload_in_parts,
    "unzips": a_zipped_object,
}


@pytest.fixture
def store(start: Start) -> Callable[..., Store]:
    """Starts a gate in front of the bed's strictest S3 server, perhaps without one of its rules."""

    def one(*options: str) -> Store:
        keys = ["--access", need("S3_ACCESS_KEY"), "--secret", need("S3_SECRET_KEY"), "--region", need("S3_REGION")]
        behind = ["--backend", known("S3_RADOSGW") or need("S3_MOTO"), "--hmac", f"{ACCESS_ID}:{SECRET}"]
        return Store(start("gcs_gate.py", *behind, *keys, *options))

    return one


def test_s3_clients_with_hmac_keys_meet_every_rule_of_the_google_gate(store: Callable[..., Store]) -> None:
    whole = store()
    for check in STORE_CHECKS.values():
        check(whole)
    forger, eager = whole.client(secret="wrong"), whole.client(checksums="when_supported")
    refused("SignatureDoesNotMatch", lambda: forger.list_objects_v2(Bucket=whole.bucket))
    refused("ExcessHeaderValues", lambda: eager.put_object(Bucket=whole.bucket, Key="a", Body=b"a"))


@pytest.mark.parametrize("rule", STORE_CHECKS)
def test_a_google_check_fails_when_its_rule_is_switched_off(store: Callable[..., Store], rule: str) -> None:
    bent = store("--without", rule)
    with pytest.raises(AssertionError):
        STORE_CHECKS[rule](bent)
