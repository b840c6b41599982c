"""Azure Data Lake Storage: our dfs endpoint and the Entra tenant in front of it, over TLS."""

from __future__ import annotations

import shutil

from bed import VENV, Process, folder, listens, port
from packages import HERE
from servers import tls

ACCOUNT, SYSTEM, TENANT = "lakeaccount", "exports", "11111111-1111-1111-1111-111111111111"
WRITER, READER, NOBODY = (
    (f"testbed-{role}", f"testbed-{role}-Secret-1", roles)
    for role, roles in (("writer", "reader+writer"), ("reader", "reader"), ("nobody", ""))
)


class Adls:
    """The peer."""

    name = "adls"

    def __init__(self) -> None:
        self.process = Process(self.name)

    @property
    def authority(self) -> str:
        # Microsoft's SDK wants a name here.
        return f"https://localhost:{port(self.name)}"

    def up(self) -> bool:
        """Whether it runs."""
        return self.process.known() is not None

    def start(self) -> None:
        """Starts it with one empty file system."""
        root = folder("adls")
        shutil.rmtree(root)
        folder("adls", SYSTEM)
        certificate, private = tls.server()
        files = ["--root", root, "--cert", certificate, "--key", private]
        named = ["--port", str(port(self.name)), "--account", ACCOUNT, "--tenant", TENANT]
        known = [part for app in (WRITER, READER, NOBODY) for part in ("--app", ":".join(app))]
        self.process.start(VENV / "bin" / "python", "-B", HERE / "peers" / "adls.py", *files, *named, *known)
        self.process.wait_until(lambda: listens(port(self.name)))

    def end(self) -> None:
        """Ends it."""
        self.process.end()

    def variables(self) -> dict[str, str]:
        """What tests must know of it."""
        known = {
            "CA": str(tls.authority()),
            "ADLS_ENDPOINT": f"{self.authority}/{ACCOUNT}",
            "ADLS_ACCOUNT": ACCOUNT,
            "ADLS_FILESYSTEM": SYSTEM,
            "ADLS_FOLDER": str(folder("adls", SYSTEM)),
            "ADLS_FAULTS": f"{self.authority}/_testbed/faults",
            "ENTRA_AUTHORITY": self.authority,
            "ENTRA_TENANT": TENANT,
        }
        for role, (client, secret, _) in (("WRITER", WRITER), ("READER", READER), ("NOBODY", NOBODY)):
            known |= {f"ENTRA_{role}_ID": client, f"ENTRA_{role}_SECRET": secret}
        return known
