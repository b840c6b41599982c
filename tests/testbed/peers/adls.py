"""A Data Lake account behind the dfs endpoint, and the Entra tenant whose tokens it believes.

Azurite has no dfs endpoint. The account is the first part of the path (https://127.0.0.1:PORT/ACCOUNT) or the first
label of the host (ACCOUNT.dfs.localhost). Beside the dfs calls there are those that Microsoft's Data Lake SDK sends to
the blob host. Faults are asked for, one list at a time, by

    PUT /_testbed/faults  [{"op": "append", "nth": 2, "times": 1, "status": 503, "code": "ServerBusy",
                            "retry_after": 1, "after": false, "drop": false}]

`after` lets the call be carried out before the answer is lost; `drop` cuts the connection. GET gives the calls so far.
"""

from __future__ import annotations

import argparse
import ssl
import urllib.parse
import uuid
from pathlib import Path
from typing import Any

import dfs_files
import entra
from aiohttp import web
from dfs_files import Files
from entra import Entra
from refusal import Refusal, Rules, add_without

RULES = entra.RULES + dfs_files.RULES
LARGEST_BODY = 200 << 20
CALLS_KEPT = 500


class Account:
    """The storage account."""

    def __init__(self, name: str, root: Path, directory: Entra, rules: Rules, hierarchical: bool) -> None:
        self.name, self.directory = name, directory
        self.files = Files(root, name, rules, hierarchical)
        self.faults: list[dict[str, Any]] = []
        self.calls: list[list[str | int]] = []

    async def handle(self, request: web.Request) -> web.Response:
        """Answers one request."""
        operation = "?"
        try:
            system, path = self.target(request)
            operation = name_of(request, path)
            answer = await self.serve(request, operation, system, path)
        except Refusal as no:
            answer = refused(request, no)
        self.calls = [*self.calls[-CALLS_KEPT:], [operation, request.path_qs, answer.status]]
        answer.headers["x-ms-request-id"] = str(uuid.uuid4())
        answer.headers["x-ms-version"] = request.headers.get("x-ms-version", "2023-11-03")
        if "x-ms-client-request-id" in request.headers:
            answer.headers["x-ms-client-request-id"] = request.headers["x-ms-client-request-id"]
        return answer

    async def serve(self, request: web.Request, operation: str, system: str, path: str) -> web.Response:
        self.directory.authorize(request, self.name)
        if "x-ms-version" not in request.headers:
            raise Refusal(400, "MissingRequiredHeader", "x-ms-version")
        body = await request.read()
        fault = self.fault(operation)
        if fault and not fault.get("after"):
            raise injected(request, fault)
        answer = self.files.carry_out(operation, request, system, path, body)
        if fault:
            raise injected(request, fault)
        return answer

    def target(self, request: web.Request) -> tuple[str, str]:
        """The file system and the path in it."""
        path = urllib.parse.unquote(request.raw_path.split("?")[0]).lstrip("/")
        if not request.host.startswith(f"{self.name}."):
            account, _, path = path.partition("/")
            if account != self.name:
                raise Refusal(404, "ResourceNotFound", f"no such account: {account}")
        system, _, path = path.partition("/")
        return system, path.rstrip("/")

    def fault(self, operation: str) -> dict[str, Any] | None:
        """The fault that was asked for at this call."""
        for fault in self.faults:
            if fault["op"] != operation:
                continue
            fault["seen"] = fault.get("seen", 0) + 1
            first, times = fault.get("nth", 1), fault.get("times", 1)
            if first <= fault["seen"] < first + times:
                return fault
        return None

    async def control(self, request: web.Request) -> web.Response:
        """Takes faults, tells calls."""
        if request.method == "PUT":
            self.faults, self.calls = await request.json(), []
        return web.json_response({"faults": self.faults, "calls": self.calls})


def name_of(request: web.Request, path: str) -> str:
    """What the caller wants."""
    method, query = request.method, request.query
    if not path:
        lists = query.get("resource") == "filesystem"
        looks = "list" if lists and method == "GET" else "look-at-system"
        return {"PUT": "create-system", "DELETE": "delete-system"}.get(method, looks)
    if method == "PUT":
        return "rename" if "x-ms-rename-source" in request.headers else "create"
    if method == "PATCH":
        return query.get("action", "?")
    return {"POST": "lease", "HEAD": "look", "GET": "read", "DELETE": "delete"}.get(method, "?")


def refused(request: web.Request, no: Refusal) -> web.Response:
    """A refusal, in the words of the host that was meant."""
    headers = {"x-ms-error-code": no.code} | no.headers
    if request.method == "HEAD":
        return web.Response(status=no.status, headers=headers)
    reads_file = request.method == "GET" and "resource" not in request.query
    if reads_file or {"restype", "comp"} & set(request.query):
        return web.Response(status=no.status, headers=headers, content_type="application/xml", text=no.xml())
    told = {"error": {"code": no.code, "message": no.message}}
    return web.json_response(told, status=no.status, headers=headers)


def injected(request: web.Request, fault: dict[str, Any]) -> Refusal:
    """The fault as an answer, or none at all."""
    if fault.get("drop"):
        request.transport.abort()
    headers = {"Retry-After": str(fault["retry_after"])} if "retry_after" in fault else {}
    return Refusal(fault.get("status", 503), fault.get("code", "ServerBusy"), "injected", headers)


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--app", action="append", required=True, help="CLIENT_ID:SECRET:ROLE+ROLE")
    parser.add_argument("--flat", action="store_true", help="say that folders are only parts of names")
    add_without(parser, RULES)
    given = parser.parse_args()
    rules = Rules(RULES, given.without)
    directory = Entra(f"https://localhost:{given.port}", given.tenant, given.app, rules)
    account = Account(given.account, given.root.resolve(), directory, rules, not given.flat)
    app = web.Application(client_max_size=LARGEST_BODY)
    app.router.add_route("*", "/_testbed/faults", account.control)
    directory.add_routes(app)
    app.router.add_route("*", "/{tail:.*}", account.handle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given.cert, given.key)
    web.run_app(app, host="127.0.0.1", port=given.port, ssl_context=context, print=None, access_log=None)


main()
