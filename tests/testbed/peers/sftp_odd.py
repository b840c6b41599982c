"""A badly behaved SFTP server.

The client chooses the misbehaviour by its user name, so that one server serves every scenario and tests need no
control channel. A name may end in `.anything`, which gives a test a folder of its own.

    plain          none
    drop-BYTES     cuts the connection once BYTES were written in the session
    full-BYTES     answers "No space left" after BYTES
    slow-MILLIS    waits before it answers each write
    hang-BYTES     stops answering after BYTES
    norename       has no posix-rename extension; a rename onto a file fails
    readonly       refuses every open for writing
    short-BYTES    answers OK for writes past BYTES and throws them away
    lateclose      the final close reports failure
    forgets-BYTES  cuts the connection once after BYTES, as a server that goes down with the first of them unsaved
    tight-BYTES    says that so many bytes are left
    asks           takes no password but asks for it in a dialogue

Every user has the password in SFTP_ODD_PASSWORD and the keys in the given file.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from pathlib import Path
from typing import ClassVar

import asyncssh

PASSWORD = os.environ["SFTP_ODD_PASSWORD"]
FOR_EVER_SECS = 3600
ACKNOWLEDGED_SECS = 0.3


class Door(asyncssh.SSHServer):
    """Lets in whoever knows the password."""

    asks = False

    def begin_auth(self, username: str) -> bool:
        self.asks = username.partition(".")[0] == "asks"
        return True

    def password_auth_supported(self) -> bool:
        return not self.asks

    def validate_password(self, username: str, password: str) -> bool:
        return password == PASSWORD

    def kbdint_auth_supported(self) -> bool:
        return self.asks

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> tuple:
        return "", "", "en", [("Password:", False)]

    def validate_kbdint_response(self, username: str, responses: list[str]) -> bool:
        return responses == [PASSWORD]


class OddFiles(asyncssh.SFTPServer):
    """One session's files."""

    # Users whose server has gone down.
    down: ClassVar[set[str]] = set()

    def __init__(self, channel: asyncssh.SSHServerChannel, root: Path) -> None:
        self.caller = channel.get_connection()
        self.user = user = channel.get_extra_info("username")
        self.fault, _, amount = user.partition(".")[0].partition("-")
        self.amount = int(amount) if amount.isdigit() else 0
        self.written = 0
        home = root / user
        home.mkdir(parents=True, exist_ok=True)
        super().__init__(channel, chroot=str(home))

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        if self.fault == "readonly" and pflags & (asyncssh.FXF_WRITE | asyncssh.FXF_CREAT):
            raise asyncssh.SFTPPermissionDenied("this account may not write")
        return super().open(path, pflags, attrs)

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        self.written += len(data)
        over = self.written > self.amount
        if self.fault == "slow":
            await asyncio.sleep(self.amount / 1000)
        elif self.fault == "drop" and over:
            self.caller.abort()
            raise asyncssh.SFTPConnectionLost("cut by the test")
        elif self.fault == "forgets" and over and self.user not in self.down:
            self.down.add(self.user)
            # What was acknowledged must have arrived: a client that knows of nothing sends everything again.
            await asyncio.sleep(ACKNOWLEDGED_SECS)
            super().write(file_obj, 0, bytes(1000))
            self.caller.abort()
            raise asyncssh.SFTPConnectionLost("cut by the test")
        elif self.fault == "full" and over:
            raise asyncssh.SFTPFailure("No space left on device")
        elif self.fault == "hang" and over:
            await asyncio.sleep(FOR_EVER_SECS)
        elif self.fault == "short" and over:
            return len(data)
        return super().write(file_obj, offset, data)

    def close(self, file_obj: object) -> None:
        super().close(file_obj)
        if self.fault == "lateclose":
            raise asyncssh.SFTPFailure("what was written could not be kept")

    def statvfs(self, path: bytes) -> object:
        if self.fault != "tight":
            return super().statvfs(path)
        size, left = 512, self.amount // 512
        return asyncssh.SFTPVFSAttrs(bsize=size, frsize=size, blocks=1 << 20, bfree=1 << 20, bavail=left)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        if self.fault == "norename":
            raise asyncssh.SFTPOpUnsupported("posix-rename@openssh.com")
        super().posix_rename(oldpath, newpath)


async def main() -> None:
    """Serves until it is told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--host-key", required=True)
    parser.add_argument("--authorized-keys", required=True)
    given = parser.parse_args()
    await asyncssh.create_server(
        Door,
        "127.0.0.1",
        given.port,
        server_host_keys=[given.host_key],
        authorized_client_keys=given.authorized_keys,
        sftp_factory=lambda channel: OddFiles(channel, given.root),
        allow_scp=False,
    )
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    await stop.wait()


asyncio.run(main())
