"""The files of a Data Lake account: what each call of the dfs endpoint does to a folder on disk.

The files lie below the root as plain files, so that a test can look at the bytes. Access lists, CRC64 and shared keys
are not here.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import os
import shutil
import time
import urllib.parse
import uuid
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web
from refusal import Refusal, Rules

RULES = (
    "create-condition",  # If-None-Match: * on a path that is there: 409 PathAlreadyExists
    "rename-condition",  # the same for a rename
    "rename-parent",  # a rename into a folder that is not there: 404
    "rename-source-condition",  # a rename of a file that has changed: 412 SourceConditionNotMet
    "rename-properties",  # what was said of a file goes with it
    "flush-position",  # a flush that leaves a gap or names another length: 400 InvalidFlushPosition
    "unflushed-invisible",  # appended data is not read before it is flushed
    "content-md5",  # 400 Md5Mismatch
    "directory-not-empty",  # 409, unless the deletion is recursive
)
LARGEST_APPEND = 100 << 20
GAP = "The uploaded data is not contiguous or the position is not the length of the file after appending it."


class Files:
    """One account's file systems."""

    def __init__(self, root: Path, account: str, rules: Rules, hierarchical: bool = True) -> None:
        self.root, self.account, self.rules = root, account, rules
        self.namespace = {"x-ms-namespace-enabled": str(hierarchical).lower()}
        self.pending: dict[Path, dict[int, bytes]] = {}
        self.facts: dict[Path, dict[str, str]] = {}
        self.leases: dict[Path, str] = {}

    def carry_out(self, operation: str, request: web.Request, system: str, path: str, body: bytes) -> web.Response:
        """Does it, and gives the answer."""
        top = self.root / system
        if operation == "create-system":
            return self.create_system(top, request.query)
        if not top.is_dir():
            raise Refusal(404, "FilesystemNotFound", "The specified filesystem does not exist.")
        if operation == "look-at-system":
            return web.Response(headers=self.stamp(top) | self.namespace)
        if operation == "delete-system":
            shutil.rmtree(top)
            return web.Response(status=202)
        if operation == "list":
            return self.list(top, request.query)
        place = self.place(system, path)
        if operation not in ("look", "read"):
            self.check_lease(place, request.headers)
        if operation == "create":
            return self.create(place, request, body)
        if operation == "rename":
            return self.rename(place, request)
        if not place.exists():
            code = "BlobNotFound" if operation in ("look", "read") else "PathNotFound"
            raise Refusal(404, code, "The specified path does not exist.")
        doer = {
            "append": self.append,
            "flush": self.flush,
            "setProperties": self.touch,
            "setAccessControl": self.touch,
            "lease": self.lease,
            "delete": self.delete,
            "look": self.read,
            "read": self.read,
        }.get(operation)
        if doer is None:
            raise Refusal(400, "UnsupportedOperation", operation)
        return doer(place, request, body)

    def place(self, system: str, path: str) -> Path:
        """Where it lies on disk; never outside of its file system."""
        place = Path(os.path.normpath(self.root / system / path))
        if not place.is_relative_to(self.root / system):
            raise Refusal(400, "InvalidResourceName")
        return place

    # What is known of a path.

    def note(self, place: Path, **facts: str) -> None:
        """Something changed."""
        known = self.facts.setdefault(place, {})
        modified = email.utils.formatdate(time.time(), usegmt=True)
        known.update(facts, etag=f'"0x{uuid.uuid4().hex[:15].upper()}"', modified=modified)

    def stamp(self, place: Path) -> dict[str, str]:
        """Its version, as headers."""
        if place not in self.facts:
            self.note(place)
        return {"ETag": self.facts[place]["etag"], "Last-Modified": self.facts[place]["modified"]}

    def check_condition(self, place: Path, headers: Mapping[str, str], rule: str) -> None:
        """The conditions on what is there already."""
        if self.rules[rule] and headers.get("If-None-Match") == "*" and place.exists():
            raise Refusal(409, "PathAlreadyExists", "The specified path already exists.")
        wanted = headers.get("If-Match")
        if wanted and (not place.exists() or wanted not in ("*", self.stamp(place)["ETag"])):
            raise Refusal(412, "ConditionNotMet")

    def check_lease(self, place: Path, headers: Mapping[str, str]) -> None:
        """A leased path is changed only by who holds the lease."""
        held, given = self.leases.get(place), headers.get("x-ms-lease-id")
        if held and given != held:
            raise Refusal(412, "LeaseIdMismatchWithBlobOperation" if given else "LeaseIdMissing")

    # The calls.

    def create_system(self, top: Path, query: Mapping[str, str]) -> web.Response:
        if top.is_dir():
            raise Refusal(409, "ContainerAlreadyExists" if "restype" in query else "FilesystemAlreadyExists")
        top.mkdir(parents=True)
        return web.Response(status=201, headers=self.stamp(top) | self.namespace)

    def create(self, place: Path, request: web.Request, body: bytes) -> web.Response:
        kind = request.query.get("resource")
        if kind not in ("file", "directory"):
            raise Refusal(400, "InvalidQueryParameterValue", "resource")
        if body:
            raise Refusal(400, "ContentLengthMustBeZero")
        self.check_condition(place, request.headers, "create-condition")
        if place.is_dir() and kind == "file":
            raise Refusal(409, "PathAlreadyExists")
        try:
            (place if kind == "directory" else place.parent).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise Refusal(409, "PathConflict", "A parent of the path is a file.") from error
        if kind == "file":
            place.write_bytes(b"")
            self.pending.pop(place, None)
        kind_of_content = request.headers.get("x-ms-content-type", "application/octet-stream")
        self.note(place, type=kind_of_content, properties=request.headers.get("x-ms-properties", ""))
        return web.Response(status=201, headers=self.stamp(place))

    def rename(self, place: Path, request: web.Request) -> web.Response:
        named = urllib.parse.unquote(request.headers["x-ms-rename-source"]).split("?")[0].lstrip("/")
        system, _, path = named.removeprefix(f"{self.account}/").partition("/")
        source = self.place(system, path)
        if not source.exists():
            raise Refusal(404, "SourcePathNotFound", "The source path for a rename operation does not exist.")
        if not place.parent.is_dir():
            if self.rules["rename-parent"]:
                text = "The parent directory of the destination path does not exist."
                raise Refusal(404, "RenameDestinationParentPathNotFound", text)
            place.parent.mkdir(parents=True)
        self.check_condition(place, request.headers, "rename-condition")
        if place.is_dir() and any(place.iterdir()):
            raise Refusal(409, "InvalidSourceOrDestinationResourceType")
        wanted = request.headers.get("x-ms-source-if-match")
        if self.rules["rename-source-condition"] and wanted and wanted not in ("*", self.stamp(source)["ETag"]):
            raise Refusal(412, "SourceConditionNotMet", "The source condition specified is not met.")
        source.replace(place)
        self.facts[place] = self.facts.pop(source, {})
        if not self.rules["rename-properties"]:
            self.facts[place].pop("properties", None)
        self.note(place)
        return web.Response(status=201, headers=self.stamp(place))

    def append(self, place: Path, request: web.Request, body: bytes) -> web.Response:
        position = request.query.get("position", "")
        if not position.isdigit():
            raise Refusal(400, "MissingRequiredQueryParameter", "position")
        if len(body) > LARGEST_APPEND:
            raise Refusal(413, "RequestBodyTooLarge")
        if not body:
            raise Refusal(400, "InvalidHeaderValue", "Content-Length")
        said = request.headers.get("Content-MD5")
        if self.rules["content-md5"] and said and said != base64.b64encode(hashlib.md5(body).digest()).decode():
            raise Refusal(400, "Md5Mismatch", "The MD5 value in the request did not match that of the server.")
        self.pending.setdefault(place, {})[int(position)] = body
        if request.query.get("flush") == "true" or not self.rules["unflushed-invisible"]:
            self.commit(place, int(position) + len(body))
        return web.Response(status=202, headers={"x-ms-request-server-encrypted": "true"})

    def flush(self, place: Path, request: web.Request, body: bytes) -> web.Response:
        if body:
            raise Refusal(400, "ContentLengthMustBeZero")
        self.check_condition(place, request.headers, "create-condition")
        self.commit(place, int(request.query.get("position", "-1")))
        if "x-ms-content-type" in request.headers:
            self.note(place, type=request.headers["x-ms-content-type"])
        return web.Response(headers=self.stamp(place) | {"Content-Length": "0"})

    def commit(self, place: Path, length: int) -> None:
        """Makes appended data part of the file, when it fits without a gap up to that length."""
        parts = self.pending.get(place, {})
        end, chosen = place.stat().st_size, []
        for position in sorted(parts):
            if end == length:
                break
            if position != end and self.rules["flush-position"]:
                raise Refusal(400, "InvalidFlushPosition", GAP)
            chosen.append(parts[position])
            end += len(parts[position])
        if end != length and self.rules["flush-position"]:
            raise Refusal(400, "InvalidFlushPosition", GAP)
        with place.open("ab") as file:
            file.writelines(chosen)
        self.pending.pop(place, None)
        self.note(place)

    def touch(self, place: Path, _request: web.Request, _body: bytes) -> web.Response:
        self.note(place)
        return web.Response(headers=self.stamp(place))

    def lease(self, place: Path, request: web.Request, _: bytes) -> web.Response:
        if request.headers.get("x-ms-lease-action") != "acquire":
            self.leases.pop(place, None)
            return web.Response()
        if place in self.leases:
            raise Refusal(409, "LeaseAlreadyPresent")
        self.leases[place] = request.headers.get("x-ms-proposed-lease-id") or str(uuid.uuid4())
        return web.Response(status=201, headers={"x-ms-lease-id": self.leases[place]})

    def delete(self, place: Path, request: web.Request, _: bytes) -> web.Response:
        self.check_condition(place, request.headers, "create-condition")
        if place.is_dir():
            recursive = request.query.get("recursive") == "true" or not self.rules["directory-not-empty"]
            if any(place.iterdir()) and not recursive:
                raise Refusal(409, "DirectoryNotEmpty")
            shutil.rmtree(place)
        else:
            place.unlink()
        for known in (self.facts, self.pending):
            for gone in [it for it in known if it.is_relative_to(place)]:
                del known[gone]
        return web.Response(headers={"x-ms-delete-type-permanent": "true"})

    def read(self, place: Path, request: web.Request, _: bytes) -> web.Response:
        folder = place.is_dir()
        headers = self.stamp(place) | {
            "Accept-Ranges": "bytes",
            "x-ms-resource-type": "directory" if folder else "file",
            "x-ms-blob-type": "BlockBlob",
            "x-ms-lease-state": "leased" if place in self.leases else "available",
            "x-ms-server-encrypted": "true",
            "x-ms-creation-time": email.utils.formatdate(usegmt=True),
            "Content-Type": self.facts[place].get("type", "application/octet-stream"),
        }
        if folder:
            headers["x-ms-meta-hdi_isfolder"] = "true"
        headers |= self.properties(place)
        data = b"" if folder else place.read_bytes()
        if request.method == "HEAD":
            return web.Response(headers=headers | {"Content-Length": str(len(data))})
        given = request.headers.get("x-ms-range") or request.headers.get("Range")
        if not given:
            return web.Response(body=data, headers=headers)
        first, _, last = given.partition("=")[2].partition("-")
        begin, end = int(first), min(int(last or len(data) - 1), len(data) - 1)
        if begin >= len(data):
            raise Refusal(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {begin}-{end}/{len(data)}"
        return web.Response(status=206, body=data[begin : end + 1], headers=headers)

    def properties(self, place: Path) -> dict[str, str]:
        """What was said of the file, as this host tells it and as the blob host does."""
        said = self.facts[place].get("properties", "")
        pairs = [pair.split("=", 1) for pair in said.split(",") if pair]
        told = {f"x-ms-meta-{name}": base64.b64decode(value).decode() for name, value in pairs}
        return told | ({"x-ms-properties": said} if said else {})

    def list(self, top: Path, query: Mapping[str, str]) -> web.Response:
        start = top / query.get("directory", "").strip("/")
        if not start.exists():
            raise Refusal(404, "PathNotFound", "The specified path does not exist.")
        if not start.is_dir():
            raise Refusal(409, "ResourceTypeMismatch", "The specified resource type does not match.")
        found = start.rglob("*") if query.get("recursive", "").lower() == "true" else start.iterdir()
        rows = [self.row(top, place) for place in sorted(found)]
        begin, count = int(query.get("continuation") or 0), int(query.get("maxResults") or 5000)
        more = {"x-ms-continuation": str(begin + count)} if begin + count < len(rows) else {}
        return web.json_response({"paths": rows[begin : begin + count]}, headers=more)

    def row(self, top: Path, place: Path) -> dict[str, str]:
        """A path as a listing shows it."""
        stamp = self.stamp(place)
        told = {
            "name": str(place.relative_to(top)),
            "lastModified": stamp["Last-Modified"],
            "etag": stamp["ETag"].strip('"'),
            "contentLength": "0" if place.is_dir() else str(place.stat().st_size),
            "owner": "$superuser",
            "group": "$superuser",
            "permissions": "rwxr-x---" if place.is_dir() else "rw-r-----",
        }
        return told | ({"isDirectory": "true"} if place.is_dir() else {})
