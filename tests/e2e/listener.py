"""An HTTP server that writes down what it hears, to see what left the service, and what did not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]


class Listener:
    """A server on loopback whose answers are made by a function of method, path and body."""

    def __init__(self, answer: Callable[[str, str, bytes], Answer]) -> None:
        heard: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                heard.append(f"{self.command} {self.path}\n{self.headers}\n{body.decode(errors='replace')}")
                status, headers, said = answer(self.command, self.path, body)
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(said))}).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(said)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any

            def log_message(self, *_: object) -> None:
                """Says nothing: the tests read what was heard."""

        self.heard = heard
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> Listener:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def text(self) -> str:
        """Everything that was heard."""
        return "\n".join(self.heard)
