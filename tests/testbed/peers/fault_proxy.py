"""A proxy in front of an HTTP server that spoils chosen calls. What it does not spoil passes unchanged, Host and all.

    PUT /_testbed/faults  [{"method": "PUT", "path": "REGEX", "nth": 3, "times": 2, "do": "drop-after"}]

spoils the third and fourth call whose method and path (with its query) fit. `do` is one of

    drop-before     the connection is cut, the server never hears of it
    drop-after      the server does its work, and the connection is cut before the answer
    stall           nothing is forwarded or answered for `seconds`
    busy            503 SlowDown, with `seconds` as Retry-After
    bend            one bit of the body is turned before it is forwarded
    cut             the answer ends in the middle

GET gives the faults with how often each fired. Bodies are held in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import ssl
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

LARGEST_BODY = 1 << 30
OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}
BUSY = "<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Proxy:
    """One proxy to one server."""

    def __init__(self, backend: str, authority: str | None) -> None:
        self.backend = backend
        self.trust = ssl.create_default_context(cafile=authority)
        self.faults: list[dict[str, Any]] = []
        self.http: aiohttp.ClientSession | None = None

    def session(self) -> aiohttp.ClientSession:
        """A client that changes nothing on the way."""
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.trust), auto_decompress=False)

    async def open_client(self, _: web.Application):
        """Keeps connections to the server while the proxy runs."""
        async with self.session() as self.http:
            yield

    async def control(self, request: web.Request) -> web.Response:
        """Takes and tells faults."""
        if request.method == "PUT":
            self.faults = [fault | {"seen": 0, "fired": 0} for fault in await request.json()]
        return web.json_response(self.faults)

    def fault(self, request: web.Request) -> dict[str, Any]:
        """The fault for this call; empty for none."""
        for fault in self.faults:
            if fault["method"] == request.method and re.search(fault["path"], request.raw_path):
                fault["seen"] += 1
                first = fault.get("nth", 1)
                if first <= fault["seen"] < first + fault.get("times", 1):
                    fault["fired"] += 1
                    return fault
        return {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Forwards one call, or spoils it."""
        body = await request.read()
        fault = self.fault(request)
        do = fault.get("do")
        if do == "busy":
            headers = {"Retry-After": str(fault.get("seconds", 0))}
            return web.Response(status=503, text=BUSY, content_type="application/xml", headers=headers)
        if do == "stall":
            await asyncio.sleep(fault["seconds"])
        if do in ("stall", "drop-before"):
            request.transport.abort()
            return web.Response()
        status, headers, said = await self.forward(request, bent(body) if do == "bend" else body)
        if do == "drop-after":
            request.transport.abort()
            return web.Response()
        if do == "cut":
            return await half(request, web.StreamResponse(status=status, headers=headers), said)
        return web.Response(status=status, body=None if request.method == "HEAD" else said, headers=headers)

    async def forward(self, request: web.Request, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """The server's answer."""
        told = {name: value for name, value in request.headers.items() if name.lower() not in OF_ONE_CONNECTION}
        told["Content-Length"] = str(len(body))
        url = URL(self.backend + request.raw_path, encoded=True)
        quiet = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
        sent = self.http.request(
            request.method, url, headers=told, data=body, skip_auto_headers=quiet, allow_redirects=False
        )
        async with sent as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in OF_ONE_CONNECTION}
            if request.method == "HEAD" and "Content-Length" in answer.headers:
                kept["Content-Length"] = answer.headers["Content-Length"]
            return answer.status, kept, await answer.read()


async def half(request: web.Request, answer: web.StreamResponse, said: bytes) -> web.StreamResponse:
    """Promises the whole answer and sends half of it."""
    answer.content_length = len(said)
    await answer.prepare(request)
    await answer.write(said[: len(said) // 2])
    request.transport.abort()
    return answer


def bent(body: bytes) -> bytes:
    """The same but for one bit in the middle."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


async def serve(app: web.Application, port: int) -> None:
    """Serves until it is ended. Bodies stay as they came."""
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    """Reads the options and serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--backend", required=True)
    parser.add_argument("--ca", help="the authority that an HTTPS backend is trusted by")
    given = parser.parse_args()
    proxy = Proxy(given.backend, given.ca)
    app = web.Application(client_max_size=LARGEST_BODY)
    app.cleanup_ctx.append(proxy.open_client)
    app.router.add_route("*", "/_testbed/faults", proxy.control)
    app.router.add_route("*", "/{tail:.*}", proxy.handle)
    asyncio.run(serve(app, given.port))


main()
