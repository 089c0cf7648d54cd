"""SeaweedFS as an S3 endpoint that enforces its keys."""

import json
import secrets
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.services import sigv4
from tests.services.certificates import Certificates, make_certificates
from tests.services.process import LOOPBACK, Server, is_free, spawn, started
from tests.services.programs import program

GRPC_OFFSET = 10_000  # each part also takes a port that much higher; one part insists on it


@dataclass(frozen=True)
class S3Server:
    """A running S3 endpoint (path style); its keys are new each time."""

    endpoint: str  # http://127.0.0.1:PORT
    port: int
    access_key: str  # may do everything
    secret_key: str
    readonly_access_key: str  # may read and list
    readonly_secret_key: str
    region: str
    certificates: Certificates | None  # with TLS
    process: Server

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Send a signed request for `/BUCKET/KEY`; any answer but 2xx is an OSError."""
        context = self.certificates.context() if self.certificates else None
        status, answer = sigv4.request(
            method, self.endpoint, path, self.access_key, self.secret_key, body, context
        )
        if not 200 <= status < 300:
            raise OSError(f"{method} {path}: {status} {answer.decode(errors='replace')}")
        return answer

    def create_bucket(self, name: str | None = None) -> str:
        """Make a bucket, with a name of its own unless you give one; return its name."""
        name = name or f"b-{secrets.token_hex(6)}"
        self.request("PUT", f"/{name}")
        return name

    def put(self, bucket: str, key: str, body: bytes) -> str:
        """Put an object without any client; return its s3:// URL."""
        self.request("PUT", f"/{bucket}/{key}", body)
        return f"s3://{bucket}/{key}"


def _identities(server_keys: Sequence[str]) -> str:
    access, secret, readonly_access, readonly_secret = server_keys
    everything = ["Admin", "Read", "Write", "List", "Tagging"]
    people = (("owner", access, secret, everything), ("reader", readonly_access, readonly_secret,
              ["Read", "List"]))  # fmt: skip
    return json.dumps(
        {
            "identities": [
                {
                    "name": name,
                    "credentials": [{"accessKey": key, "secretKey": password}],
                    "actions": actions,
                }
                for name, key, password, actions in people
            ]
        }
    )


def _remove_sockets(ours: Container[int]) -> None:
    """Remove the sockets a killed server leaves in /tmp; no option says where they are.

    Besides ours also those nobody can need: old, and of a port at which nobody listens.
    """
    long_ago = time.time() - 60
    for left in Path("/tmp").glob("seaweedfs-*-grpc-*.sock"):
        port = int(left.stem.rpartition("-")[2])
        with suppress(FileNotFoundError):  # removed by another session
            if port in ours or (left.stat().st_mtime < long_ago and is_free(port)):
                left.unlink()


@contextmanager
def s3_server(tmp_path: Path, *, tls: bool = False) -> Iterator[S3Server]:
    """Start an S3 endpoint that keeps its objects and its log (`s3.log`) in a folder.

    Started again in the same folder, it has the same objects and new keys. With `tls` it
    answers https:// alone, with a certificate of `server.certificates`.
    """
    folder = tmp_path.resolve()
    data = folder / "s3-data"
    data.mkdir(parents=True, exist_ok=True)
    names = (f"owner{secrets.token_hex(6)}", f"reader{secrets.token_hex(6)}")
    keys = (names[0], secrets.token_urlsafe(24), names[1], secrets.token_urlsafe(24))
    identities = folder / "s3-identities.json"
    identities.touch(mode=0o600)
    identities.write_text(_identities(keys))
    certificates = make_certificates(folder / "s3-tls") if tls else None

    def start(ports: list[int]) -> Server:
        command: list[str | Path] = [
            program("weed"), f"-logdir={folder}", "mini", f"-dir={data}",
            f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}",  # its defaults: all of the machine's
            "-master.telemetry=false",  # the default reports to its makers
            "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
            "-s3.autoCreateBucket=false",  # a missing bucket is an error, as elsewhere
            "-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock",  # not in /tmp
            f"-s3.config={identities}",
        ]  # fmt: skip
        parts = ("s3", "master", "volume", "filer", "admin")
        command += [f"-{part}.port={port}" for part, port in zip(parts, ports, strict=True)]
        if certificates:
            command += [
                f"-s3.cert.file={certificates.certificate}", f"-s3.key.file={certificates.key}",
            ]  # fmt: skip
        return spawn("s3", command, folder / "s3.log", cwd=folder)

    def describe(port: int, server: Server) -> S3Server:
        return S3Server(
            f"{'https' if tls else 'http'}://{LOOPBACK}:{port}",
            port,
            *keys,
            region=sigv4.REGION,
            certificates=certificates,
            process=server,
        )

    def ready(server: Server, ports: list[int]) -> bool:
        asked = describe(ports[0], server)
        bucket = asked.create_bucket("ready-" + secrets.token_hex(4))
        asked.put(bucket, "ready", b"?")
        asked.request("DELETE", f"/{bucket}/ready")
        asked.request("DELETE", f"/{bucket}")
        return True

    with started(start, ready, ports=5, offset=GRPC_OFFSET) as (server, ports):
        try:
            yield describe(ports[0], server)
        finally:
            server.kill()
            _remove_sockets({port + GRPC_OFFSET for port in ports})
