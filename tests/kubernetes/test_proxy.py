"""The proxy's weather, on a control plane."""

import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.client import RefusedError
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.proxy import Proxy, proxy


@pytest.fixture
def before(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Proxy]:
    with proxy(control_plane, tmp_path) as made:
        yield made


def test_fair_weather(before: Proxy) -> None:
    namespace = before.client.namespace()
    assert before.client.get(f"/api/v1/namespaces/{namespace}")["metadata"]["name"] == namespace
    assert before.cluster.client.find(f"/api/v1/namespaces/{namespace}")


def test_a_storm(before: Proxy) -> None:
    before.weather.refuse = 3
    statuses = []
    for _ in range(6):
        try:
            before.client.get("/version")
            statuses.append(200)
        except RefusedError as error:
            statuses.append(error.status)
    assert statuses == [200, 429, 429, 200, 429, 429]


def test_silence(before: Proxy) -> None:
    before.weather.silent = True
    with pytest.raises(TimeoutError):
        before.client.send("GET", "/version", seconds=0.5)
    before.weather.silent = False
    assert before.client.get("/version")["major"] == "1"


def test_a_watch_comes_piece_by_piece(before: Proxy) -> None:
    namespace = before.client.namespace()
    path = f"/api/v1/namespaces/{namespace}/secrets"
    url = f"{before.client.server}{path}?watch=true"
    request = urllib.request.Request(
        url, headers={"Authorization": f"Bearer {before.client.token}"}
    )
    context = ssl.create_default_context(cafile=str(before.client.authority))
    with urllib.request.urlopen(request, context=context, timeout=10) as stream:
        before.cluster.client.create(path, {"metadata": {"name": "seen"}})
        assert b'"seen"' in stream.readline()
