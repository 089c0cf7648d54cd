"""A service that speaks Keystone's and Magnum's REST and keeps clusters in memory.

Certificates are truly signed. It cannot show that a cloud's template makes a cluster that works.
"""

import datetime
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.services.process import LOOPBACK

PASSWORD = "a password"
TOKEN = "a-token-of-keystone"


class Authority:
    """The certificate authority of the clusters."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "magnum")])
        self.certificate = self._sign(self.name, self.key.public_key())
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, request: str) -> str:
        wanted = x509.load_pem_x509_csr(request.encode())
        assert wanted.is_signature_valid
        signed = self._sign(wanted.subject, wanted.public_key())
        return signed.public_bytes(serialization.Encoding.PEM).decode()

    def _sign(self, subject: x509.Name, key: Any) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(self.key, hashes.SHA256())
        )


class MagnumService:
    """Clusters by id; each look at one moves it `looks` steps towards its end."""

    def __init__(self, looks: int = 2) -> None:
        self.looks = looks
        self.clusters: dict[str, dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        self.fail: dict[str, str] = {}
        self.refuse: list[tuple[str, str, int, str]] = []  # method, begin of path, status, words
        self.templates = [
            {"uuid": str(uuid.uuid4()), "name": name, "labels": {"kube_tag": "v1.34.2"}}
            for name in ("kubernetes-1.34", "kubernetes-1.34-gpu")
        ]
        self.authority = Authority()
        self.lock = threading.Lock()
        self._left: dict[str, int] = {}
        self._httpd = ThreadingHTTPServer((LOOPBACK, 0), _Handler)
        self._httpd.service = self  # type: ignore[attr-defined]
        self.endpoint = f"http://{LOOPBACK}:{self._httpd.server_port}"
        self._thread = threading.Thread(target=self._httpd.serve_forever)

    @property
    def environment(self) -> dict[str, str]:
        """What a user sets to be let in."""
        return {
            "OS_AUTH_URL": f"{self.endpoint}/identity/v3",
            "OS_USERNAME": "demo",
            "OS_PASSWORD": PASSWORD,
            "OS_PROJECT_NAME": "physics",
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
            "OS_REGION_NAME": "cern",
        }

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._httpd.shutdown()
        self._thread.join()
        self._httpd.server_close()

    def put(self, name: str, status: str = "CREATE_COMPLETE", *, ours: bool = True) -> str:
        key = str(uuid.uuid4())
        labels = {"managed-by": "higgsdemo"} if ours else {}
        self.clusters[key] = {
            "uuid": key, "name": name, "status": status, "labels": labels, "node_count": 3,
            "flavor_id": "m2.large", "api_address": "https://10.0.0.1:6443", "status_reason": None,
        }  # fmt: skip
        return key

    def names(self) -> list[str]:
        return sorted(one["name"] for one in self.clusters.values())

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Return status and document for a request of Magnum."""
        parts = path.strip("/").split("/")
        if method == "GET" and parts == [""]:
            return 200, {"versions": [self._version()]}
        if method == "GET" and parts == ["v1"]:
            return 200, {**self._version(), "media_types": []}
        kind, key = parts[1], "/".join(parts[2:])
        if kind == "clustertemplates":
            return self._templates(key)
        if kind == "certificates":
            return self._certificates(method, key, body)
        if method == "POST":
            return self._create(body)
        if not key:
            return 200, {"clusters": [self._short(one) for one in self.clusters.values()]}
        found = self.clusters.get(key) or next(
            (one for one in self.clusters.values() if one["name"] == key), None
        )
        if found is None:
            return 404, _error(404, f"Cluster {key} could not be found.")
        if method == "DELETE":
            found["status"] = "DELETE_IN_PROGRESS"
            self._left[found["uuid"]] = self.looks
            return 204, None
        self._move(found)
        if found["uuid"] not in self.clusters:
            return 404, _error(404, f"Cluster {key} could not be found.")
        return 200, found

    def _version(self) -> dict[str, Any]:
        return {
            "id": "v1", "status": "CURRENT", "min_version": "1.1", "max_version": "1.11",
            "links": [{"rel": "self", "href": f"{self.endpoint}/container-infra/v1/"}],
        }  # fmt: skip

    def _templates(self, key: str) -> tuple[int, Any]:
        if not key:
            return 200, {"clustertemplates": self.templates}
        for one in self.templates:
            if key in (one["uuid"], one["name"]):
                return 200, one
        return 404, _error(404, f"ClusterTemplate {key} could not be found.")

    def _certificates(self, method: str, key: str, body: Any) -> tuple[int, Any]:
        if method == "GET":
            return 200, {"cluster_uuid": key, "pem": self.authority.pem}
        signed = self.authority.sign(body["csr"])
        return 201, {"cluster_uuid": body["cluster_uuid"], "pem": signed, "csr": body["csr"]}

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.created.append(body)
        key = str(uuid.uuid4())
        self.clusters[key] = {
            **body, "uuid": key, "status": "CREATE_IN_PROGRESS", "status_reason": None,
            "api_address": None,
        }  # fmt: skip
        self._left[key] = self.looks
        return 202, {"uuid": key}

    @staticmethod
    def _short(cluster: dict[str, Any]) -> dict[str, Any]:
        """Return what a list shows: fewer fields than a look at one."""
        return {key: cluster.get(key) for key in ("uuid", "name", "status", "node_count", "labels")}

    def _move(self, cluster: dict[str, Any]) -> None:
        key = cluster["uuid"]
        if not cluster["status"].endswith("IN_PROGRESS"):
            return
        self._left[key] = self._left.get(key, self.looks) - 1
        if self._left[key] > 0:
            return
        if cluster["status"] == "DELETE_IN_PROGRESS":
            del self.clusters[key]
        elif cluster["name"] in self.fail:
            cluster["status"] = "CREATE_FAILED"
            cluster["status_reason"] = self.fail[cluster["name"]]
        else:
            cluster["status"] = "CREATE_COMPLETE"
            cluster["api_address"] = "https://10.0.0.1:6443"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        service: MagnumService = self.server.service  # type: ignore[attr-defined]
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = self.path.partition("?")[0]
        with service.lock:
            for rule in service.refuse:
                method, begin, status, words = rule
                if self.command == method and path.startswith(begin):
                    service.refuse.remove(rule)
                    self._send(status, _error(status, words))
                    return
            if path.startswith("/identity"):
                self._identity(service, path, body)
            elif self.headers.get("X-Auth-Token") != TOKEN and path.rstrip("/").count("/") > 2:
                self._send(401, _error(401, "The request you have made requires authentication."))
            else:
                inside = path.removeprefix("/container-infra")
                self._send(*service.answer(self.command, inside, body))

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - names of the library

    def _identity(self, service: MagnumService, path: str, body: Any) -> None:
        home = f"{service.endpoint}/identity/v3/"
        version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": home}]}
        if not path.endswith("/auth/tokens"):
            self._send(200, {"version": version})
            return
        given = body["auth"]["identity"]["password"]["user"]["password"]
        if given != PASSWORD:
            self._send(401, _error(401, "The request you have made requires authentication."))
            return
        now = datetime.datetime.now(datetime.UTC)
        endpoint = {
            "id": "1", "interface": "public", "region": "cern", "region_id": "cern",
            "url": f"{service.endpoint}/container-infra/v1",
        }  # fmt: skip
        token = {
            "methods": ["password"],
            "user": {"id": "u", "name": "demo", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "p", "name": "physics",
                        "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "r", "name": "member"}],
            "issued_at": now.isoformat().replace("+00:00", "Z"),
            "expires_at": (now + datetime.timedelta(hours=1)).isoformat().replace("+00:00", "Z"),
            "catalog": [{"id": "c", "type": "container-infra", "name": "magnum",
                         "endpoints": [endpoint]}],
        }  # fmt: skip
        self._send(201, {"token": token}, {"X-Subject-Token": TOKEN})

    def _send(self, status: int, document: Any, more: dict[str, str] | None = None) -> None:
        data = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        for key, value in (more or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def _error(status: int, words: str) -> dict[str, Any]:
    return {"errors": [{"status": status, "title": words, "detail": words}]}


@contextmanager
def magnum_service(looks: int = 2) -> Iterator[MagnumService]:
    """Run the service on a free port."""
    service = MagnumService(looks)
    service.start()
    try:
        yield service
    finally:
        service.stop()
