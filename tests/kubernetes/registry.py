"""An image registry on this machine, from which the nodes really pull."""

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kubernetes.binaries import built
from tests.kubernetes.images import MANIFEST, blobs
from tests.services.process import LOOPBACK, Server, spawn, started


@dataclass(frozen=True)
class Registry:
    """A running registry; a node speaks plain HTTP to it, as it is on the loopback address."""

    host: str  # 127.0.0.1:PORT
    process: Server

    def push(self, archive: Path, name: str) -> str:
        """Put the image of an OCI archive under NAME:TAG; return what pods call it."""
        repository, tag = name.split(":")
        found, manifest = blobs(archive)
        told = json.loads(manifest)
        for digest in (told["config"]["digest"], *(layer["digest"] for layer in told["layers"])):
            place = self._send("POST", f"/v2/{repository}/blobs/uploads/", b"")["Location"]
            path = re.sub(r"^https?://[^/]+", "", place)
            joint = "&" if "?" in path else "?"
            self._send("PUT", f"{path}{joint}digest={digest}", found[digest])
        self._send("PUT", f"/v2/{repository}/manifests/{tag}", manifest, MANIFEST)
        return f"{self.host}/{name}"

    def pulls(self, name: str) -> int:
        """Return how often the manifest of NAME was asked for, by tag or digest."""
        repository = name.split(":")[0]
        line = rf'"(?:GET|HEAD) /v2/{re.escape(repository)}/manifests/'
        return len(re.findall(line, self.process.log.read_text(errors="replace")))

    def _send(
        self, method: str, path: str, body: bytes, kind: str = "application/octet-stream"
    ) -> dict[str, str]:
        url = f"http://{self.host}{path}"
        headers = {"Content-Type": kind}
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(answer.headers)


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """Start a registry that keeps its images in a folder."""
    home = folder.resolve()

    def start(ports: list[int]) -> Server:
        settings = {
            "version": "0.1",
            "log": {"level": "warn"},
            "http": {"addr": f"{LOOPBACK}:{ports[0]}"},
            "storage": {"filesystem": {"rootdirectory": str(home / "registry")}},
        }
        (home / "registry.yml").write_text(json.dumps(settings))
        command = [built("registry"), "serve", home / "registry.yml"]
        quiet = {"OTEL_TRACES_EXPORTER": "none"}  # it would tell a collector of each request
        return spawn("registry", command, home / "registry.log", cwd=home, env=quiet)

    def ready(server: Server, ports: list[int]) -> bool:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{ports[0]}/v2/", timeout=2) as answer:
            return bool(answer.status == 200)

    with started(start, ready) as (server, ports):
        yield Registry(f"{LOOPBACK}:{ports[0]}", server)
