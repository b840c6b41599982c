"""Azure Blob Storage: Azurite, over TLS, with two accounts: one that customers own and one for the landing zone."""

from __future__ import annotations

import base64
import shutil

from azure.storage.blob import BlobServiceClient

from bed import Process, folder, listens, port
from packages import node_modules, program
from servers import tls

CONTAINER = "exports"
ACCOUNTS = {"AZURE": "blobaccount", "DLZ": "dlzaccount"}


def key(account: str) -> str:
    """The account's shared key."""
    return base64.b64encode(f"testbed-{account}-key-0123456789abcdef".encode()).decode()


class Azurite:
    """Microsoft's own emulator."""

    name = "azurite"

    def __init__(self) -> None:
        self.process = Process(self.name)

    def endpoint(self, account: str) -> str:
        return f"https://127.0.0.1:{port(self.name)}/{account}"

    def up(self) -> bool:
        """Whether it runs."""
        return self.process.known() is not None

    def start(self) -> None:
        """Starts an empty one and makes a container in each account."""
        script = node_modules() / "azurite" / "dist" / "src" / "blob" / "main.js"
        data = folder("azurite")
        shutil.rmtree(data)
        certificate, private = tls.server()
        where = ["--blobHost", "127.0.0.1", "--blobPort", str(port(self.name)), "-l", folder("azurite")]
        secured = ["--oauth", "basic", "--cert", certificate, "--key", private]
        # Without these it refuses what today's SDK sends, and calls home.
        quiet = ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        accounts = ";".join(f"{account}:{key(account)}" for account in ACCOUNTS.values())
        self.process.start(program("node") or "node", script, *where, *secured, *quiet, AZURITE_ACCOUNTS=accounts)
        self.process.wait_until(lambda: listens(port(self.name)))
        for account in ACCOUNTS.values():
            credential = {"account_name": account, "account_key": key(account)}
            client = BlobServiceClient(self.endpoint(account), credential, connection_verify=str(tls.authority()))
            client.create_container(CONTAINER)

    def end(self) -> None:
        """Ends it."""
        self.process.end()

    def variables(self) -> dict[str, str]:
        """What tests must know of it."""
        known = {"CA": str(tls.authority())}
        for prefix, account in ACCOUNTS.items():
            known |= {
                f"{prefix}_ENDPOINT": self.endpoint(account),
                f"{prefix}_ACCOUNT": account,
                f"{prefix}_KEY": key(account),
                f"{prefix}_CONTAINER": CONTAINER,
            }
        return known
