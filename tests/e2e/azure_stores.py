"""Places of Azure's that files are delivered into, looked at by the vendor's own SDK."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobServiceClient, generate_container_sas
from azure.storage.filedatalake import DataLakeServiceClient
from bed import Start, need
from offtake import Destination
from store import Store

BLOB = "6d6b59bf-fb58-4107-9064-4d246c0e5bb2"
BLOB_FLOW = "95bd8965-fc8a-4119-b9c3-944c2c2df6d2"
ADLS = "be2c3209-53bc-47e7-ab25-145db8b873e1"
ADLS_FLOW = "17be2013-2549-41ce-96e7-a70363bec293"

# The bed is on loopback, which an operator has to allow, and shows a certificate of its own authority.
ALLOWED = {"OFFTAKE__NETWORK__ALLOW": '["127.0.0.1", "::1"]'}


def trusting() -> dict[str, str]:
    """The settings of a service that may speak to the bed."""
    return ALLOWED | {"OFFTAKE__NETWORK__CA_FILE": need("CA")}


class Container(Store):
    """A container of Azurite. What is staged is a blob without committed blocks, or a hidden mark."""

    gone = (AzureError,)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.endpoint, self.name = need("AZURE_ENDPOINT"), f"test-{uuid.uuid4().hex}"
        credential = {"account_name": need("AZURE_ACCOUNT"), "account_key": need("AZURE_KEY")}
        service = BlobServiceClient(self.endpoint, credential, connection_verify=need("CA"), retry_total=0)
        self.service = service
        self.client = service.get_container_client(self.name)
        self.client.create_container()

    def key_string(self, **changed: str) -> str:
        """The connection string with the account's key."""
        settings = {
            "BlobEndpoint": self.endpoint,
            "AccountName": need("AZURE_ACCOUNT"),
            "AccountKey": need("AZURE_KEY"),
        }
        return ";".join(f"{name}={value}" for name, value in (settings | changed).items())

    def sas_string(self, rights: str = "rcwd", minutes: float = 60, container: str | None = None) -> str:
        """The connection string with a signature, as the vendor's own SDK makes one."""
        until = datetime.now(UTC) + timedelta(minutes=minutes)
        known = {"account_key": need("AZURE_KEY"), "permission": rights, "expiry": until}
        signature = generate_container_sas(need("AZURE_ACCOUNT"), container or self.name, **known)
        return f"BlobEndpoint={self.endpoint};SharedAccessSignature={signature}"

    def destination(self, container: str | None = None, **auth: Any) -> Destination:
        """What a flow must be told to deliver here; `auth` replaces the connection string."""
        params = {"connectionString": self.key_string()} | auth
        return Destination(
            BLOB,
            BLOB_FLOW,
            {"specName": "ConnectionString", "params": params},
            {"container": container or self.name},
        )

    def objects(self) -> dict[str, int]:
        """The keys that a consumer sees, with their sizes."""
        return {it.name: it.size for it in self.client.list_blobs()}

    def read(self, key: str) -> bytes:
        """What a consumer reads there."""
        return self.client.download_blob(key).readall()

    def staged(self) -> list[str]:
        """Blobs that were sent and not committed, and marks."""
        committed = self.objects()
        begun = [it.name for it in self.client.list_blobs(include=["uncommittedblobs"]) if it.name not in committed]
        return begun + [key for key in committed if key.rpartition("/")[2].startswith(".")]

    def remove(self) -> None:
        """Takes the container away again."""
        self.client.delete_container()


TENANT, ACCOUNT, SYSTEM = "33333333-3333-3333-3333-333333333333", "lake", "exports"


class FileSystem(Store):
    """A file system of a Data Lake account of the test's own. What is staged is a file in the staging folder."""

    gone = (AzureError,)

    def __init__(self, folder: Path, start: Start, *options: str) -> None:
        super().__init__(folder)
        root = folder / f"lake-{uuid.uuid4().hex[:8]}"
        self.root = root / SYSTEM
        self.root.mkdir(parents=True)
        certificate = Path(need("CA")).parent
        files = ["--root", str(root), "--cert", str(certificate / "server.pem"), "--key", str(certificate / "server.key")]
        named = ["--account", ACCOUNT, "--tenant", TENANT]
        roles = {"writer": "reader+writer", "reader": "reader", "nobody": ""}
        known = [part for app, held in roles.items() for part in ("--app", f"{app}:{app}-hunter2:{held}")]
        self.authority = f"https://localhost:{start('adls.py', *files, *named, *known, *options)}"
        trust = {"connection_verify": need("CA"), "retry_total": 0}
        credential = ClientSecretCredential(
            TENANT, "writer", "writer-hunter2", authority=self.authority, disable_instance_discovery=True, **trust
        )
        service = DataLakeServiceClient(f"{self.authority}/{ACCOUNT}", credential, **trust)
        self.client = service.get_file_system_client(SYSTEM)

    def destination(self, **auth: Any) -> Destination:
        """What a flow must be told to deliver here; `auth` replaces or adds parameters of the base connection."""
        params = {
            "url": f"{self.authority}/{ACCOUNT}/{SYSTEM}",
            "tenant": TENANT,
            "servicePrincipalId": "writer",
            "servicePrincipalKey": "writer-hunter2",
            "authority": self.authority,
        }
        auth_spec = {"specName": "Azure Service Principal Auth", "params": params | auth}
        return Destination(ADLS, ADLS_FLOW, auth_spec)

    def objects(self) -> dict[str, int]:
        """The keys that a consumer sees, with their sizes."""
        return {key: size for key, size in self.everything().items() if not key.startswith("_staging/")}

    def everything(self) -> dict[str, int]:
        """Every file with its size."""
        return {it.name: it.content_length for it in self.client.get_paths() if not it.is_directory}

    def read(self, key: str) -> bytes:
        """What a consumer reads there."""
        return self.client.get_file_client(key).download_file().readall()

    def staged(self) -> list[str]:
        """Files in the staging folder, and the folder."""
        return [it.name for it in self.client.get_paths() if it.name.split("/")[0] == "_staging"]

    def remove(self) -> None:
        """Goes with the test's folder."""


# The places of Azure's among all.
KINDS = ["blob", "adls"]
