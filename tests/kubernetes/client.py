"""A plain client of the Kubernetes API for the tests: it shares no code with what they test."""

import http.client
import json
import secrets
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Document = dict[str, Any]
PATIENCE_S = 240.0  # of a machine that does much else
KINDS_OF_PATCHES = {
    "merge": "application/merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class RefusedError(Exception):
    """The API server's answer was an error; `status` is the HTTP code."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{status}: {said}")
        self.status = status


def kubeconfig(context: str, server: str, authority: Path, token: str) -> Document:
    """Return a kubeconfig of one context."""
    cluster = {"server": server, "certificate-authority": str(authority)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": {"token": token}}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }


def write_kubeconfig(file: Path, documents: Iterable[Mapping[str, Any]]) -> Path:
    """Write the contexts of all documents as one file, the first one current."""
    merged: Document = {"apiVersion": "v1", "kind": "Config"}
    for document in documents:
        merged.setdefault("current-context", document["current-context"])
        for part in ("clusters", "users", "contexts"):
            merged.setdefault(part, []).extend(document[part])
    file.touch(mode=0o600)
    file.write_text(json.dumps(merged, indent=1))
    return file


@dataclass(frozen=True)
class Client:
    """Requests to one API server as one user."""

    server: str
    authority: Path
    token: str

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        kind: str = "application/json",
        seconds: float = 30,
    ) -> bytes:
        """Return the answer's body. Errors: `RefusedError`; OSError when none answers."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        request = urllib.request.Request(self.server + path, data, headers, method=method)
        context = ssl.create_default_context(cafile=str(self.authority))
        try:
            with urllib.request.urlopen(request, timeout=seconds, context=context) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            with suppress(ValueError, KeyError):  # the server's own answers are a Status
                said = json.loads(said)["message"]
            raise RefusedError(error.code, said) from None

    def call(self, method: str, path: str, body: object = None, kind: str = "") -> Any:
        """Send a request and return its JSON."""
        return json.loads(self.send(method, path, body, kind or "application/json"))

    def get(self, path: str) -> Any:
        """Read an object or a list."""
        return self.call("GET", path)

    def find(self, path: str) -> Any:
        """Read an object; None where there is none."""
        try:
            return self.get(path)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    def create(self, path: str, document: Mapping[str, Any]) -> Any:
        """Create an object in a collection."""
        return self.call("POST", path, document)

    def patch(self, path: str, document: Mapping[str, Any]) -> Any:
        """Merge a document into an object."""
        return self.call("PATCH", path, document, KINDS_OF_PATCHES["merge"])

    def delete(self, path: str) -> None:
        """Delete an object and what it owns, in the background."""
        self.call("DELETE", path, {"propagationPolicy": "Background"})

    def items(self, path: str) -> list[Document]:
        """Return all objects of a collection."""
        found: list[Document] = self.get(path)["items"]
        return found

    def namespace(self, name: str = "", **labels: str) -> str:
        """Make a namespace, with a name of its own unless you give one; return its name."""
        name = name or f"test-{secrets.token_hex(4)}"
        metadata = {"name": name, "labels": labels}
        self.create("/api/v1/namespaces", {"metadata": metadata})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        wait_for(lambda: self.find(account), f"the service account of {name}")
        return name

    def ready(self) -> bool:
        """Whether the server serves, and its hooks have run."""
        try:
            return self.send("GET", "/readyz", seconds=2) == b"ok"
        except RefusedError:
            return False


def wait_for(
    look: Callable[[], Any], what: str, seconds: float = PATIENCE_S, pause: float = 0.1
) -> Any:
    """Look again and again until the answer is true, and return it.

    A server that does not answer at the moment is looked at again.
    """
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            last = look()
        except (OSError, http.client.HTTPException) as error:
            last = error
        else:
            if last:
                return last
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:g} s; the last look gave {last!r}")
        time.sleep(pause)
