"""Google Cloud Storage: our gate in front of the strictest S3 server that runs."""

from __future__ import annotations

from bed import VENV, Process, port
from packages import HERE
from servers import s3

ACCESS_ID = "GOOG1ETESTBED" + 48 * "0"
SECRET = "testbedGcsSecret0123456789abcdefghijklm"
BUCKET = "offtake-testbed-gcs"


class GcsGate:
    """The gate. It is started after what is behind it."""

    name = "gcs-gate"

    def __init__(self) -> None:
        self.process = Process(self.name)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{port(self.name)}"

    def up(self) -> bool:
        """Whether it runs."""
        return self.process.known() is not None

    def start(self) -> None:
        """Starts it and makes the bucket."""
        gateway = s3.Radosgw()
        behind = gateway.endpoint if gateway.up() else s3.Moto().endpoint
        keys = ["--access", s3.ACCESS_KEY, "--secret", s3.SECRET_KEY, "--region", s3.REGION]
        where = ["--port", str(port(self.name)), "--backend", behind, "--hmac", f"{ACCESS_ID}:{SECRET}"]
        self.process.start(VENV / "bin" / "python", "-B", HERE / "peers" / "gcs_gate.py", *where, *keys)
        self.process.wait_until(lambda: s3.answers(self.endpoint))
        s3.make_bucket(self.endpoint, ACCESS_ID, SECRET, BUCKET)

    def end(self) -> None:
        """Ends it."""
        self.process.end()

    def variables(self) -> dict[str, str]:
        """What tests must know of it."""
        return {
            "GCS_ENDPOINT": self.endpoint,
            "GCS_ACCESS_ID": ACCESS_ID,
            "GCS_SECRET": SECRET,
            "GCS_BUCKET": BUCKET,
        }
