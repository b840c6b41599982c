"""Google Cloud Storage's XML manners in front of an S3 server.

There is no emulator with HMAC keys, but the XML API is close to S3. This gate checks the caller's signature itself,
applies the rules below, in which Google's documentation or measurements of others differ from S3, and forwards the
call, signed anew, to a real S3 server that keeps the bytes. It remembers generations and digests for as long as it
runs. Resumable uploads are not here.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import hashlib
import os
import re
import time
import urllib.parse
from dataclasses import dataclass

import aiohttp
import google_crc32c
from aiohttp import web
from gcs_signature import check, quote, signed_headers
from refusal import Refusal, Rules, add_without
from yarl import URL

RULES = (
    "no-mixed-families",  # x-amz-* beside x-goog-*: 400 ExcessHeaderValues
    "no-checksum-headers",  # x-amz-checksum-* on an object: 400 ExcessHeaderValues
    "no-trailers",  # a body closed by a trailing checksum: 400 InvalidArgument
    "no-signed-accept-encoding",  # the front end rewrites it: 403 SignatureDoesNotMatch
    "conditions-ignored",  # If-None-Match and If-Match on writes do nothing
    "generation-match",  # x-goog-if-generation-match: 412; refused where a multipart upload begins, ignored at its end
    "no-part-copy",  # 400 NotImplemented
    "no-tagging",  # 400 NotImplemented
    "bulk-delete-digest",  # needs Content-MD5 or x-amz-checksum-crc32
    "storage-classes",  # only Google's own
    "digests",  # Content-MD5 and x-goog-hash are compared
    "opaque-etag",  # an object of a multipart upload has no MD5
    "unzips",  # Content-Encoding: gzip is unpacked for readers who don't accept it
)
CLASSES = {"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"}
LARGEST_BODY = 1 << 30
KEPT_ON_ANSWERS = {
    "content-type",
    "last-modified",
    "etag",
    "content-range",
    "accept-ranges",
    "content-encoding",
    "cache-control",
    "content-disposition",
    "content-language",
}
PASSED_ON = {"content-type", "cache-control", "content-disposition", "content-language", "range", "content-md5"}
CONDITIONS = {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"}


@dataclass
class Object:
    """What Google knows of an object and S3 does not."""

    generation: int
    storage_class: str
    etag: str | None
    digest: str | None


class Gate:
    """One gate to one S3 server."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.rules = Rules(RULES, given.without)
        self.keys = dict(pair.split(":", 1) for pair in given.hmac)
        self.backend = given.backend
        self.backend_keys = {"access": given.access, "secret": given.secret, "region": given.region}
        self.objects: dict[str, Object] = {}
        self.locks: dict[str, asyncio.Lock] = {}
        self.http: aiohttp.ClientSession | None = None

    async def open_client(self, _: web.Application):
        """Keeps the connection to the backend while the gate runs."""
        async with aiohttp.ClientSession() as self.http:
            yield

    async def handle(self, request: web.Request) -> web.Response:
        """Answers one request; a refusal is an XML document."""
        try:
            return await self.serve(request)
        except Refusal as no:
            said = "" if request.method == "HEAD" else no.xml()
            return web.Response(status=no.status, text=said, content_type="application/xml")

    async def serve(self, request: web.Request) -> web.Response:
        body = await request.read()
        names = {name.lower() for name in request.headers}
        if self.rules["no-mixed-families"] and mixes(names):
            raise Refusal(400, "ExcessHeaderValues", "Requests cannot specify both x-amz and x-goog headers.")
        if self.rules["no-trailers"] and "x-amz-trailer" in names:
            raise Refusal(400, "InvalidArgument", "Trailing checksums are not supported.")
        family, body = check(request, body, self.keys, self.rules["no-signed-accept-encoding"])
        call = Call(request, body, names, family)
        self.check_features(call)
        if self.rules["digests"]:
            check_digests(call)
        async with self.locks.setdefault(call.name, asyncio.Lock()):
            self.check_generation(call)
            query, told = list(call.query.items()), self.passed_on(call)
            status, headers, said = await self.forward(call.method, call.path, query, told, body)
            if status < 300 and call.name:
                said = await self.remember(call, said)
            return self.answer(call, status, headers, said)

    def check_features(self, call: Call) -> None:
        """What S3 has and Google has not."""
        writes = call.method == "PUT" and call.name
        if self.rules["no-checksum-headers"] and writes and any(map(is_checksum, call.names)):
            raise Refusal(400, "ExcessHeaderValues", "Multiple HTTP header values where one was expected.")
        if self.rules["no-tagging"] and (call.header("tagging") or "tagging" in call.query):
            raise Refusal(400, "NotImplemented", "Tagging is not implemented.")
        if self.rules["no-part-copy"] and "partNumber" in call.query and call.header("copy-source"):
            raise Refusal(400, "NotImplemented", "Copying a part is not implemented.")
        bulk = call.method == "POST" and "delete" in call.query
        if self.rules["bulk-delete-digest"] and bulk and not {"content-md5", "x-amz-checksum-crc32"} & call.names:
            raise Refusal(400, "InvalidRequest", "Missing required header: Content-MD5 OR x-amz-checksum-crc32")
        named = call.header("storage-class")
        if self.rules["storage-classes"] and named and named not in CLASSES:
            raise Refusal(400, "InvalidArgument", f"Invalid argument: storage class {named}")

    def check_generation(self, call: Call) -> None:
        """Google's own precondition."""
        wanted = call.request.headers.get("x-goog-if-generation-match")
        if wanted is None or not self.rules["generation-match"]:
            return
        if call.method == "POST" and "uploads" in call.query:
            raise Refusal(400, "NotImplemented", "A precondition where a multipart upload begins is not implemented.")
        known = self.objects.get(call.name)
        if call.name and "uploadId" not in call.query and int(wanted) != (known.generation if known else 0):
            if call.method in ("GET", "HEAD") and not known:
                raise Refusal(404, "NoSuchKey")
            raise Refusal(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")

    def passed_on(self, call: Call) -> dict[str, str]:
        """The headers that the backend is told."""
        told = {}
        conditions = call.method in ("GET", "HEAD") or not self.rules["conditions-ignored"]
        for header, value in call.request.headers.items():
            name = header.lower()
            if name in PASSED_ON or (name in CONDITIONS and conditions):
                told[name] = value
            elif name == "content-encoding":
                told[name] = ",".join(it for it in map(str.strip, value.split(",")) if it != "aws-chunked")
            elif name.startswith(("x-amz-meta-", "x-goog-meta-")):
                told["x-amz-meta-" + name.split("-meta-", 1)[1]] = value
            elif name.split("-", 2)[-1] in ("copy-source", "metadata-directive", "acl"):
                told["x-amz-" + name.split("-", 2)[2]] = value
            elif name == "x-amz-checksum-crc32" and "delete" in call.query:
                told["content-md5"] = md5(call.body)
        return {name: value for name, value in told.items() if value}

    async def forward(
        self, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """One call to the backend."""
        host = urllib.parse.urlparse(self.backend).netloc
        signed = signed_headers(method, host, path, query, headers, body, self.backend_keys)
        pairs = "&".join(f"{quote(name)}={quote(value)}" for name, value in sorted(query))
        url = URL(self.backend + path + (f"?{pairs}" if pairs else ""), encoded=True)
        data = body if body or method in ("PUT", "POST") else None
        async with self.http.request(
            method,
            url,
            headers=signed,
            data=data,
            skip_auto_headers=("Accept-Encoding", "Content-Type", "User-Agent"),
            allow_redirects=False,
            auto_decompress=False,
        ) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, await answer.read()

    async def remember(self, call: Call, said: bytes) -> bytes:
        """Keeps the generation and digest of what was written. Gives the answer, perhaps with another ETag."""
        completed = call.method == "POST" and "uploadId" in call.query and b"<Error>" not in said
        if completed or (call.method == "PUT" and "partNumber" not in call.query):
            made = Object(time.time_ns() // 1000, call.header("storage-class") or "STANDARD", None, None)
            if completed:
                _, _, whole = await self.forward("GET", call.path, [], {}, b"")
                made.digest = f"crc32c={crc32c(whole)}"
                if self.rules["opaque-etag"]:
                    made.etag = f'"{base64.b64encode(os.urandom(9)).decode()}"'
                    said = re.sub(rb"<ETag>[^<]*</ETag>|<ETag ?/>", f"<ETag>{made.etag}</ETag>".encode(), said)
            elif not call.header("copy-source"):
                made.digest = f"crc32c={crc32c(call.body)},md5={md5(call.body)}"
            self.objects[call.name] = made
        elif call.method == "DELETE" and "uploadId" not in call.query:
            self.objects.pop(call.name, None)
        return said

    def answer(self, call: Call, status: int, headers: dict[str, str], said: bytes) -> web.Response:
        """The backend's answer with Google's headers."""
        out = {name: value for name, value in headers.items() if name in KEPT_ON_ANSWERS}
        prefix = "x-goog-meta-" if call.family == "GOOG4" else "x-amz-meta-"
        out |= {prefix + name[11:]: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
        known = self.objects.get(call.name)
        if known and status < 300:
            out |= {"x-goog-generation": str(known.generation), "x-goog-metageneration": "1"}
            out["x-goog-storage-class"] = known.storage_class
            if known.digest and "partNumber" not in call.query:
                out["x-goog-hash"] = known.digest
            if known.etag and call.method in ("GET", "HEAD"):
                out["etag"] = known.etag
        accepts = "gzip" in call.request.headers.get("Accept-Encoding", "")
        zipped = call.method == "GET" and status == 200 and out.get("content-encoding") == "gzip"
        if self.rules["unzips"] and zipped and not accepts:
            del out["content-encoding"]
            said = gzip.decompress(said)
        if call.method == "HEAD":
            return web.Response(status=status, headers=out | {"Content-Length": headers.get("content-length", "0")})
        return web.Response(status=status, body=said, headers=out)


class Call:
    """A request whose signature held."""

    def __init__(self, request: web.Request, body: bytes, names: set[str], family: str) -> None:
        self.request, self.body, self.names, self.family = request, body, names, family
        self.method, self.query = request.method, request.query
        plain = urllib.parse.unquote(request.raw_path.partition("?")[0])
        self.path = quote(plain, "/-_.~")
        bucket, _, key = plain.lstrip("/").partition("/")
        # Empty for a call to a bucket.
        self.name = f"{bucket}/{key}" if key else ""

    def header(self, name: str) -> str | None:
        """A header of either family."""
        return self.request.headers.get(f"x-goog-{name}") or self.request.headers.get(f"x-amz-{name}")


def mixes(names: set[str]) -> bool:
    """Whether headers of both families are there."""
    return all(any(name.startswith(prefix) for name in names) for prefix in ("x-amz-", "x-goog-"))


def is_checksum(name: str) -> bool:
    """Whether the header speaks of one of Amazon's checksums."""
    return name.startswith("x-amz-checksum-") or name == "x-amz-sdk-checksum-algorithm"


def check_digests(call: Call) -> None:
    """What the caller says of the body holds."""
    known = {"md5": md5(call.body), "crc32c": crc32c(call.body)}
    given = call.request.headers.get("Content-MD5")
    if given and given != known["md5"]:
        raise Refusal(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
    for part in (call.request.headers.get("x-goog-hash") or "").split(","):
        name, _, value = part.strip().partition("=")
        if known.get(name, value) != value:
            raise Refusal(400, "BadDigest", f"The {name} you specified did not match what we computed.")


def md5(data: bytes) -> str:
    """Its digest as headers carry it."""
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def crc32c(data: bytes) -> str:
    """Its checksum as headers carry it."""
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


async def serve(app: web.Application, port: int) -> None:
    """Serves until it is ended. Bodies stay as they came: they are signed so, packed or not."""
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--backend", required=True)
    parser.add_argument("--access", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--hmac", action="append", required=True, help="ACCESS_ID:SECRET")
    add_without(parser, RULES)
    given = parser.parse_args()
    gate = Gate(given)
    app = web.Application(client_max_size=LARGEST_BODY)
    app.cleanup_ctx.append(gate.open_client)
    app.router.add_route("*", "/{tail:.*}", gate.handle)
    asyncio.run(serve(app, given.port))


main()
