"""A place of every kind that files are delivered into, on the bed's servers, each looked at by somebody else's client."""

from __future__ import annotations

import base64
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

from azure_stores import Container, FileSystem
from azure_stores import trusting as trusting
from bed import Start, need
from bucket import Bucket, strictest
from offtake import ZONE, Destination
from oracle import staged
from store import Store

GOOGLE = "c5d93acb-ea8b-4b14-8f53-02138444ae99"
GOOGLE_FLOW = "585c15c4-6cbf-4126-8f87-e26bff78b657"
SFTP = "36965a81-b1c6-401b-99f8-22508f1e6a26"
SFTP_FLOW = "354d6aad-4754-46e4-a576-1b384561c440"


class Zone(Store):
    """The landing zone in the service's own folder. What is staged has a hidden name."""

    gone = (OSError,)

    def __init__(self, folder: Path, data_dir: Path) -> None:
        super().__init__(folder)
        self.root = data_dir / "landing-zone"

    def destination(self, **auth: Any) -> Destination:
        """What a flow must be told to deliver here: nothing."""
        return ZONE

    def objects(self) -> dict[str, int]:
        """The files that a consumer sees, with their sizes."""
        seen = (path for path in self.root.rglob("*") if path.is_file() and not hidden(path.name))
        return {str(path.relative_to(self.root)): path.stat().st_size for path in seen}

    def read(self, key: str) -> bytes:
        """What a consumer reads there."""
        return (self.root / key).read_bytes()

    def staged(self) -> list[str]:
        """Hidden files."""
        return [str(path) for path in staged(self.root)]

    def remove(self) -> None:
        """Goes with the test's folder."""


class GoogleBucket(Bucket):
    """A bucket behind the gate that has Google's manners, with HMAC keys."""

    def __init__(self, folder: Path) -> None:
        Store.__init__(self, folder)
        self.endpoint = need("GCS_ENDPOINT")
        self.name = f"test-{uuid.uuid4().hex}"
        self.client = self.client_of(need("GCS_ACCESS_ID"), need("GCS_SECRET"))
        self.client.create_bucket(Bucket=self.name)

    def destination(self, bucket: str | None = None, **auth: Any) -> Destination:
        """What a flow must be told to deliver here; `auth` replaces or adds parameters of the base connection."""
        params = {
            "accessKeyId": need("GCS_ACCESS_ID"),
            "secretAccessKey": need("GCS_SECRET"),
            "endpoint": self.endpoint,
        }
        auth_spec = {"specName": "Google Cloud Storage authentication credentials", "params": params | auth}
        return Destination(GOOGLE, GOOGLE_FLOW, auth_spec, {"bucketName": bucket or self.name})


class Remote(Store):
    """A folder of the test's own on the OpenSSH server. What is staged has a hidden name."""

    gone = (OSError,)

    def __init__(self, folder: Path, auth: dict[str, Any]) -> None:
        super().__init__(folder)
        self.auth = auth
        self.name = f"e2e-{uuid.uuid4().hex}"
        self.transport = paramiko.Transport((need("SFTP_HOST"), int(need("SFTP_PORT"))))
        self.transport.connect(username=need("SFTP_USER"), password=need("SFTP_PASSWORD"))
        self.client = paramiko.SFTPClient.from_transport(self.transport)

    def destination(self, **auth: Any) -> Destination:
        """What a flow must be told to deliver here; `auth` replaces, adds or takes away parameters of the base connection."""
        known = {
            "domain": need("SFTP_HOST"),
            "port": int(need("SFTP_PORT")),
            "username": need("SFTP_USER"),
            "hostKeys": [need("SFTP_HOST_FINGERPRINT")],
        }
        params = known | self.auth["params"] | auth
        auth_spec = self.auth | {"params": {name: value for name, value in params.items() if value is not None}}
        return Destination(SFTP, SFTP_FLOW, auth_spec, path="remotePath", below=f"{self.name}/")

    def _everything(self) -> dict[str, int]:
        found = {}
        folders = [self.name]
        while folders:
            folder = folders.pop()
            for entry in self._entries(folder):
                name = f"{folder}/{entry.filename}"
                if stat.S_ISDIR(entry.st_mode):
                    folders.append(name)
                else:
                    found[name] = entry.st_size
        return found

    def _entries(self, folder: str) -> list[paramiko.SFTPAttributes]:
        try:
            return self.client.listdir_attr(folder)
        except FileNotFoundError:
            return []

    def objects(self) -> dict[str, int]:
        """The files that a consumer sees, with their sizes."""
        return {key: size for key, size in self._everything().items() if not hidden(key)}

    def read(self, key: str) -> bytes:
        """What a consumer reads there."""
        with self.client.open(key, "rb") as file:
            file.prefetch()
            return file.read()

    def staged(self) -> list[str]:
        """Hidden files, but for the empty marks of discarded attempts, which stay."""
        found = self._everything().items()
        return [key for key, size in found if hidden(key) and (size or not key.endswith(".gone"))]

    def remove(self) -> None:
        """Ends the session; the folder goes with the bed."""
        self.transport.close()


def hidden(key: str) -> bool:
    """Whether readers are to pass by the file."""
    return key.rpartition("/")[2].startswith(".")


def with_password() -> dict[str, Any]:
    """One documented way to log in."""
    return {"specName": "SFTP with Password", "params": {"password": need("SFTP_PASSWORD")}}


def with_key(kind: str = "ED25519") -> dict[str, Any]:
    """The other one, with that key of the bed."""
    key = base64.b64encode(Path(need(f"SFTP_KEY_{kind}")).read_bytes()).decode()
    return {"specName": "SFTP with SSH Key", "params": {"sshKey": key}}


# Every destination: S3 on a strict and on a quick server, SFTP with both its ways to log in.
PLACES: dict[str, Callable[[Path, Start], Store]] = {
    "zone": lambda folder, _: Zone(folder, folder / "data"),
    "s3": lambda folder, _: Bucket(strictest(), folder),
    "s3-moto": lambda folder, _: Bucket("moto", folder),
    "gcs": lambda folder, _: GoogleBucket(folder),
    "blob": lambda folder, _: Container(folder),
    "adls": FileSystem,
    "sftp-password": lambda folder, _: Remote(folder, with_password()),
    "sftp-key": lambda folder, _: Remote(folder, with_key()),
}

# Of each kind one, where the protocol is what matters.
SINKS = [kind for kind in PLACES if kind not in ("s3-moto", "sftp-key")]


@pytest.fixture
def place_of(tmp_path: Path, start: Start) -> Iterator[Callable[[str], Store]]:
    """Makes places that don't outlive the test; the zone is that of the service over `data`."""
    made: list[Store] = []

    def one(kind: str) -> Store:
        made.append(PLACES[kind](tmp_path, start))
        return made[-1]

    yield one
    for place in made:
        place.remove()
