"""One Kubernetes cluster: raw JSON over a counted wire."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlencode

from urllib3.exceptions import HTTPError

from higgsdemo.clusters import paths
from higgsdemo.clusters.refusals import ClusterApiError, Gone, refusal
from higgsdemo.clusters.wire import Patience, Traffic, Wire
from higgsdemo.errors import CredentialsError, TransientError, UsageError

Document = dict[str, Any]
FIELD_MANAGER = "higgsdemo"
_PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_GRACE_S = 20.0  # how long after its time a watch may go on before it counts as dead


class Cluster:
    """A cluster, by the name of its context in a kubeconfig. Usable by several threads.

    All methods raise TransientError when the cluster cannot be reached for as long as `patience`
    says, CredentialsError (401, or which verb on what is not permitted), and ClusterApiError for
    whatever else it refuses.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._plurals: dict[tuple[str, str], tuple[str, bool]] = dict(paths.KNOWN)
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls, context: str, kubeconfig: Path | None = None, patience: Patience | None = None
    ) -> Cluster:
        """Return the cluster of a context; nothing is sent yet.

        `kubeconfig` is by default what KUBECONFIG names, else ``~/.kube/config``. Raises
        UsageError where there is none, or no such context (with the nearest names).
        """
        return cls(Wire(context, kubeconfig, patience or Patience()))

    @property
    def name(self) -> str:
        """The name of the context."""
        return self._wire.context

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return self._wire.server

    @property
    def patience(self) -> Patience:
        """How long requests are tried; may be set at any time, for those to come."""
        return self._wire.patience

    @patience.setter
    def patience(self, patience: Patience) -> None:
        self._wire.patience = patience

    @property
    def traffic(self) -> Traffic:
        """What was asked and answered so far."""
        return self._wire.traffic

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Cluster({self.name!r}, {self.server!r})"

    def get(self, path: str, **query: Any) -> Document:
        """Return the object at `path`, e.g. ``/apis/batch/v1/namespaces/NS/jobs/NAME``."""
        return self.get_as("application/json", path, **query)

    def get_as(self, accept: str, path: str, **query: Any) -> Document:
        """Return what is at `path` in another form, by its media type."""
        headers = {"Accept": accept, "Accept-Encoding": "gzip"}
        return self._document(self._wire.request("GET", _target(path, query), headers=headers))

    def find(self, path: str, **query: Any) -> Document | None:
        """Return the object at `path`; None if there is none."""
        try:
            return self.get(path, **query)
        except ClusterApiError as error:
            if error.status == 404:
                return None
            raise

    def apply(self, document: Mapping[str, Any], *, dry_run: bool = False) -> Document:
        """Make the object be as the document says (server-side apply): made, changed or left."""
        path = f"{self._collection(document)}/{document['metadata']['name']}"
        query: Document = {"fieldManager": FIELD_MANAGER, "force": "true"}
        if dry_run:
            query["dryRun"] = "All"
        return self._write("PATCH", _target(path, query), document, "application/apply-patch+yaml")

    def create(self, document: Mapping[str, Any]) -> Document:
        """Make a new object. ClusterApiError with status 409 if it is there.

        After a broken connection it is tried again: then 409 may mean that the first try made it.
        """
        target = _target(self._collection(document), {"fieldManager": FIELD_MANAGER})
        return self._write("POST", target, document, "application/json")

    def patch(
        self,
        path: str,
        document: Any,
        kind: Literal["merge", "json", "strategic"] = "merge",
    ) -> Document:
        """Change the object at `path`."""
        target = _target(path, {"fieldManager": FIELD_MANAGER})
        return self._write("PATCH", target, document, _PATCHES[kind])

    def delete(self, path: str, **query: Any) -> None:
        """Delete the object or collection at `path`; what is not there is fine.

        For example ``propagationPolicy="Foreground"``, ``labelSelector="..."``.
        """
        try:
            self._wire.request("DELETE", _target(path, query))
        except ClusterApiError as error:
            if error.status != 404:
                raise

    def delete_all(
        self, path: str, *, selector: str, policy: str = "Background", limit: int = 500
    ) -> Iterator[Document]:
        """Delete the objects of a collection that fit, `limit` a request; yield their metadata.

        They may still be there for a while: pods that end, owners that wait for what they own.
        """
        query = {"labelSelector": selector, "propagationPolicy": policy}
        yield from self._pages(path, query, limit, _METADATA_LIST, "DELETE")

    def items(self, path: str, *, selector: str = "", limit: int = 500) -> Iterator[Document]:
        """Yield the objects of a collection, `limit` a page."""
        yield from self._pages(path, _selecting(selector), limit, "application/json")

    def metadata(self, path: str, *, selector: str = "", limit: int = 500) -> Iterator[Document]:
        """Yield the metadata alone of a collection's objects: a fraction of their bytes."""
        yield from self._pages(path, _selecting(selector), limit, _METADATA_LIST)

    def watch(
        self,
        path: str,
        *,
        selector: str = "",
        version: str = "",
        timeout_s: float,
        opened: Callable[[], None] = lambda: None,
    ) -> Iterator[Document]:
        """Yield raw events (``type``, ``object``) of a collection, BOOKMARK ones too.

        Begins after resource version `version` (empty: with what is there now, as ADDED) and ends
        after `timeout_s`, or earlier when the connection breaks: go on from the last version.
        Raises Gone when that version is too old: list anew. `opened` is called when the server
        has agreed to it, which is long before the first event where nothing happens.
        """
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": max(1, round(timeout_s)),
            **({"labelSelector": selector} if selector else {}),
            **({"resourceVersion": version} if version else {}),
        }
        target = _target(path, query)
        answer = self._wire.stream(target, {"Accept": "application/json"}, timeout_s + _GRACE_S)
        opened()
        counted = 0
        left = b""
        try:
            while piece := answer.read1(1 << 16):  # as they come; `stream` waits for full buffers
                self.traffic.received(answer.tell() - counted)
                counted = answer.tell()
                *lines, left = (left + piece).split(b"\n")
                for line in lines:
                    yield self._event(line, target)
        except (HTTPError, OSError):
            return  # it broke off, as watches do; a part of a line is not an event
        finally:
            answer.close()

    def _event(self, line: bytes, target: str) -> Document:
        event = self._document(line)
        if event.get("type") == "ERROR":
            status = event.get("object") or {}
            code = int(status.get("code") or 500)
            if code in (429, 500, 503, 504):
                raise TransientError(
                    f"cluster {self.name!r} ended a watch",
                    why=str(status.get("message")),
                    where=f"{self.server}{target}",
                )
            raise refusal("GET", target, code, json.dumps(status).encode(), cluster=self.name)
        return event

    def _pages(
        self, path: str, query: Document, limit: int, accept: str, method: str = "GET"
    ) -> Iterator[Document]:
        query = {**query, "limit": limit}
        headers = {"Accept": accept, "Accept-Encoding": "gzip"}
        while True:
            try:
                answer = self._wire.request(method, _target(path, query), headers=headers)
            except Gone as error:
                if not error.resume or query.get("continue") == error.resume:
                    raise
                query["continue"] = error.resume  # goes on after the last one, at a newer version
                continue
            page = self._document(answer)
            yield from page.get("items") or ()
            rest = (page.get("metadata") or {}).get("continue")
            if not rest:
                return
            query["continue"] = rest

    def _write(self, method: str, target: str, document: Any, kind: str) -> Document:
        body = json.dumps(document, separators=(",", ":")).encode()
        headers = {"Content-Type": kind, "Accept": "application/json"}
        return self._document(self._wire.request(method, target, body, headers))

    def _document(self, content: bytes) -> Document:
        try:
            document = json.loads(content)
        except ValueError as error:
            raise CredentialsError(
                f"no Kubernetes API server at {self.server}",
                why=f"the answer is not JSON: {content[:80].decode(errors='replace')!r}",
                hint="a sign-in page or another service answers there",
            ) from error
        if not isinstance(document, dict):
            raise ClusterApiError(f"an answer that is no object from {self.server}", status=200)
        return document

    def _collection(self, document: Mapping[str, Any]) -> str:
        plural, namespaced = self.plural(str(document["apiVersion"]), str(document["kind"]))
        return paths.of_document(document, plural, namespaced=namespaced)

    def plural(self, api_version: str, kind: str) -> tuple[str, bool]:
        """Return the plural of a kind, and whether it lives in a namespace.

        Kinds of others are looked up once. Raises UsageError for a kind the cluster has not.
        """
        with self._lock:
            known = self._plurals.get((api_version, kind))
        if known:
            return known
        listed = self.find(paths.root(api_version)) or {}
        found = {
            (api_version, each["kind"]): (each["name"], bool(each["namespaced"]))
            for each in listed.get("resources") or ()
            if "/" not in each["name"]
        }
        with self._lock:
            self._plurals.update(found)
        if (api_version, kind) not in found:
            raise UsageError(
                f"cluster {self.name!r} has no {kind} of {api_version}",
                where=self.server,
                hint="what brings this kind is not installed there",
            )
        return found[api_version, kind]


def _selecting(selector: str) -> Document:
    return {"labelSelector": selector} if selector else {}


def _target(path: str, query: Mapping[str, Any]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
