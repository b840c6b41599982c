"""How the peers say no, and how single rules of theirs are switched off.

A peer is our own reading of somebody's documentation. Each rule that a test relies on has a name and can be switched
off by `--without NAME`, so that a test can show that it looks at that rule and not at something else.
"""

from __future__ import annotations

import argparse
from xml.sax.saxutils import escape


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, code: str, message: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message or code)
        self.status, self.code, self.message, self.headers = status, code, message or code, headers or {}

    def xml(self) -> str:
        """As a document, as S3, Google and Azure Blob write it."""
        told = f"<Code>{self.code}</Code><Message>{escape(self.message)}</Message>"
        return f'<?xml version="1.0" encoding="utf-8"?><Error>{told}</Error>'


class Rules:
    """The rules that are on."""

    def __init__(self, known: tuple[str, ...], without: list[str]) -> None:
        unknown = set(without) - set(known)
        if unknown:
            raise SystemExit(f"no such rule: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        self.known = known
        self.off = set(without)

    def __getitem__(self, name: str) -> bool:
        assert name in self.known, name
        return name not in self.off


def add_without(parser: argparse.ArgumentParser, known: tuple[str, ...]) -> None:
    """The option that switches rules off."""
    parser.add_argument("--without", action="append", default=[], metavar="RULE", help=", ".join(known))
