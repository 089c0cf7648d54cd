"""fake-gcs-server: Google Cloud Storage's JSON, XML and upload interfaces, without credentials."""

import json
import secrets
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.services.process import LOOPBACK, Server, spawn, started
from tests.services.programs import program


@dataclass(frozen=True)
class GcsServer:
    """A running GCS endpoint; it accepts any credentials and none."""

    endpoint: str  # http://127.0.0.1:PORT
    port: int
    process: Server

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead Google's client and gcsfs here.

        The second keeps gcsfs from asking for a bucket's kind by gRPC with TLS, which is not
        here and costs a minute a call.
        """
        return {
            "STORAGE_EMULATOR_HOST": self.endpoint,
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        }

    @property
    def obstore_key(self) -> str:
        """The `service_account_key` with which obstore (object_store) reads from here."""
        empty = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
        return json.dumps({"gcs_base_url": self.endpoint, "disable_oauth": True, **empty})

    def _post(self, path: str, body: bytes, kind: str) -> None:
        headers = {"content-type": kind}
        asked = urllib.request.Request(self.endpoint + path, body, headers, method="POST")
        with urllib.request.urlopen(asked, timeout=10):
            pass

    def create_bucket(self, name: str | None = None) -> str:
        """Make a bucket, with a name of its own unless you give one; return its name."""
        name = name or f"b-{secrets.token_hex(6)}"
        self._post("/storage/v1/b", json.dumps({"name": name}).encode(), "application/json")
        return name

    def put(self, bucket: str, key: str, body: bytes) -> str:
        """Put an object without any client; return its gs:// URL."""
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(key, safe='')}"
        self._post(path, body, "application/octet-stream")
        return f"gs://{bucket}/{key}"


@contextmanager
def gcs_server(tmp_path: Path) -> Iterator[GcsServer]:
    """Start a GCS endpoint that keeps its objects and its log (`gcs.log`) in a folder."""
    folder = tmp_path.resolve()
    data = folder / "gcs-data"
    data.mkdir(parents=True, exist_ok=True)

    def start(ports: list[int]) -> Server:
        address = f"{LOOPBACK}:{ports[0]}"
        command = (
            program("fake-gcs-server"), "-scheme", "http", "-host", LOOPBACK,
            "-port", str(ports[0]),
            "-backend", "filesystem", "-filesystem-root", data,
            "-external-url", f"http://{address}", "-public-host", address, "-log-level", "info",
        )  # fmt: skip
        return spawn("gcs", command, folder / "gcs.log", cwd=folder)

    def ready(server: Server, ports: list[int]) -> bool:
        url = f"http://{LOOPBACK}:{ports[0]}/storage/v1/b"
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)

    with started(start, ready) as (server, ports):
        yield GcsServer(f"http://{LOOPBACK}:{ports[0]}", ports[0], server)
