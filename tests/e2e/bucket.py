"""A bucket on one of the bed's S3 servers, looked at by boto3.

What is staged is what the store calls an upload in progress.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from bed import known, need
from offtake import S3, S3_FLOW, Destination
from store import Store

# The strict one and the quick one.
SERVERS = ["radosgw", "moto"]

# The bed is on loopback, which an operator has to allow.
ALLOWED = {"OFFTAKE__NETWORK__ALLOW": '["127.0.0.1"]'}


def strictest() -> str:
    """The server for tests that need only one."""
    return "radosgw" if known("S3_RADOSGW") else "moto"


class Bucket(Store):
    """A bucket of the test's own."""

    gone = (ClientError,)

    def __init__(self, server: str, folder: Path) -> None:
        super().__init__(folder)
        self.endpoint = need(f"S3_{server.upper()}")
        self.name = f"test-{uuid.uuid4().hex}"
        self.client = self.client_of(need("S3_ACCESS_KEY"), need("S3_SECRET_KEY"))
        self.client.create_bucket(Bucket=self.name)

    def client_of(self, access_key: str, secret_key: str) -> Any:
        """A client with these keys, which repeats nothing."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name=need("S3_REGION"),
            config=Config(
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                request_checksum_calculation="when_required",
            ),
        )

    def destination(self, bucket: str | None = None, **auth: Any) -> Destination:
        """What a flow must be told to deliver here; `auth` replaces or adds parameters of the base connection."""
        params = {
            "s3AccessKey": need("S3_ACCESS_KEY"),
            "s3SecretKey": need("S3_SECRET_KEY"),
            "endpoint": self.endpoint,
            "region": need("S3_REGION"),
            "pathStyle": True,
        }
        auth_spec = {"specName": "Access Key", "params": params | auth}
        return Destination(S3, S3_FLOW, auth_spec, {"bucketName": bucket or self.name})

    # What is there.

    def objects(self) -> dict[str, int]:
        """The keys that a consumer sees, with their sizes."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {it["Key"]: it["Size"] for page in pages for it in page.get("Contents", [])}

    def uploads(self) -> list[str]:
        """The keys of uploads that were begun and neither completed nor aborted."""
        return [it["Key"] for it in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]

    def read(self, key: str) -> bytes:
        """What a consumer reads there."""
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def staged(self) -> list[str]:
        """Uploads in progress."""
        return self.uploads()

    def remove(self) -> None:
        """Takes the bucket away again: the server keeps its objects in memory."""
        for upload in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", []):
            self.client.abort_multipart_upload(Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"])
        for key in self.objects():
            self.client.delete_object(Bucket=self.name, Key=key)
        self.client.delete_bucket(Bucket=self.name)
