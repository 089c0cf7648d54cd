"""A server on the loopback that speaks the portal's record API, and can be told to misbehave."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.catalog.portal import Portal, RecordCache

EOS = "root://eospublic.cern.ch//eos/opendata/cms/"
REDUCED = EOS + "derived-data/AOD2NanoAODOutreachTool/ForHiggsTo4Leptons/"


def entry(uri: str, size: int, checksum: str = "adler32:1a2b3c4d", **more: Any) -> dict[str, Any]:
    """A file as the portal describes it."""
    return {
        "availability": "online",
        "bucket": "0e9f9f1d-3c35-4d5f-9f0e-000000000000",
        "checksum": checksum,
        "key": uri.rpartition("/")[2],
        "size": size,
        "tags": {},
        "uri": uri,
        "version_id": "c53b77ce-83b2-4a4b-85b9-000000000000",
        **more,
    }


def record(number: int, title: str, files: list[Any], *indexes: list[Any], **more: Any) -> Any:
    """A record as `/api/records/NUMBER` answers it since the end of 2024."""
    listed = [*files, *(file for index in indexes for file in index)]
    metadata = {
        "$schema": "https://opendata.cern.ch/schema/records/record-v1.0.0.json",
        "availability": "online",
        "collections": ["CMS-Primary-Datasets"],
        "distribution": {
            "formats": ["aod", "root"],
            "number_events": 299973,
            "number_files": len(listed),
            "size": sum(file["size"] for file in listed),
        },
        "doi": f"10.7483/OPENDATA.CMS.{number}",
        "experiment": ["CMS"],
        "files": files,
        "publisher": "CERN Open Data Portal",
        "recid": str(number),
        "title": title,
        "type": {"primary": "Dataset", "secondary": ["Collision"]},
        **more,
    }
    if indexes:
        metadata["_file_indices"] = [
            {
                "availability": {"online": len(index)},
                "bucket": "1e9f9f1d-3c35-4d5f-9f0e-000000000000",
                "description": f"AOD dataset file index ({at} of {len(indexes)})",
                "files": index,
                "key": f"CMS_{at}0000_file_index.json",
                "number_files": len(index),
                "size": sum(file["size"] for file in index),
            }
            for at, index in enumerate(indexes, start=1)
        ]
    return {
        "created": "2024-12-10T10:00:00+00:00",
        "id": number,
        "links": {"self": f"https://opendata.cern.ch/api/records/{number}"},
        "metadata": metadata,
        "updated": "2025-02-01T10:00:00+00:00",
    }


class FakePortal:
    """Records by number; `script` is what it does instead, request after request."""

    def __init__(self) -> None:
        self.records: dict[int, Any] = {}
        self.script: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.asked: list[str] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(handler.path)
        if self.script:
            self.script.pop(0)(handler)
            return
        head, _, number = handler.path.rpartition("/")
        if head != "/api/records" or int(number) not in self.records:
            send(handler, 404, b'{"message": "PID does not exist.", "status": 404}')
            return
        send(handler, 200, json.dumps(self.records[int(number)]).encode())


def send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes = b"",
    length: int | None = None,
    **headers: str,
) -> None:
    """Answer with a body; `length` is what is said about it."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of this machine has no say in what is asked on the loopback."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def fake() -> Iterator[FakePortal]:
    """The server, with one reduced-NanoAOD record (12361) and one of AOD (6004)."""
    state = FakePortal()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        state.records[12361] = record(
            12361,
            "SMHiggsToZZTo4L dataset in reduced NanoAOD format",
            [entry(f"{REDUCED}SMHiggsToZZTo4L.root", 42400229, "adler32:b3c4d5e6")],
            type={"primary": "Dataset", "secondary": ["Derived"]},
        )
        folder = f"{EOS}Run2012B/DoubleMuParked/AOD/22Jan2013-v1/"
        state.records[6004] = record(
            6004,
            "/DoubleMuParked/Run2012B-22Jan2013-v1/AOD",
            [],
            [entry(f"{folder}10000/{name}.root", 1000 + at) for at, name in enumerate("AB")],
            [entry(f"{folder}20000/C.root", 3000, "abc12", availability="on demand")],
            recid="cms-6004",
        )
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def portal(fake: FakePortal) -> Portal:
    return Portal(fake.url, timeout_s=5, backoff_s=0.001)


@pytest.fixture
def cache(tmp_path: Path) -> RecordCache:
    return RecordCache(tmp_path / "cache")
