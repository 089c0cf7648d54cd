"""Kubeconfigs: found, merged, refused clearly; credentials in all their forms."""

import json
import stat
from pathlib import Path

import pytest

from higgsdemo.clusters import Cluster, context_names
from higgsdemo.clusters.contexts import IN_CLUSTER, load_login
from higgsdemo.errors import CredentialsError, UsageError
from tests.clusters.conftest import QUICK
from tests.clusters.scripted_api import ScriptedApi, kubeconfig


def write(path: Path, *names: str) -> Path:
    parts = [kubeconfig(f"https://{name}.example", name, {"token": name}) for name in names]
    merged = {**parts[0]}
    for key in ("clusters", "users", "contexts"):
        merged[key] = [each for part in parts for each in part[key]]
    path.write_text(json.dumps(merged))
    return path


def test_no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UsageError, match="there is no kubeconfig") as caught:
        Cluster.open("here")
    assert str(tmp_path / ".kube" / "config") in str(caught.value)


def test_an_unknown_context_has_near_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "config", "kubecon-demo-0", "kubecon-demo-1", "laptop")
    with pytest.raises(UsageError, match="no context 'kubecon-demo-2'") as caught:
        Cluster.open("kubecon-demo-2", path)
    assert "kubecon-demo-1" in caught.value.nearest
    assert "laptop" not in caught.value.nearest


def test_several_files_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = write(tmp_path / "one", "a"), write(tmp_path / "two", "b")
    monkeypatch.setenv("KUBECONFIG", f"{one}:{tmp_path / 'absent'}:{two}")
    assert context_names() == ("a", "b")
    assert Cluster.open("b").server == "https://b.example"


def test_a_kubeconfig_without_a_current_context_will_do(tmp_path: Path) -> None:
    path = write(tmp_path / "config", "a")
    document = json.loads(path.read_text())
    del document["current-context"]
    path.write_text(json.dumps(document))
    assert context_names(path) == ("a",)
    assert Cluster.open("a", path).server == "https://a.example"


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", "contexts: [{name: a}]", "just words"])
def test_what_is_not_a_kubeconfig(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(UsageError, match="not a kubeconfig") as caught:
        context_names(path)
    assert str(path) in str(caught.value)


def test_an_exec_plugin_gives_the_token(tmp_path: Path, scripted: ScriptedApi) -> None:
    said = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": {"token": "from-plugin"}}  # fmt: skip
    plugin = tmp_path / "plugin"
    plugin.write_text(f"#!/bin/sh\necho '{json.dumps(said)}'\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}
    with Cluster.open("scripted", scripted.kubeconfig(tmp_path, user), QUICK) as cluster:
        cluster.get("/version")
    assert scripted.asked[0].headers["Authorization"] == "Bearer from-plugin"


def test_an_exec_plugin_that_fails_is_told(
    tmp_path: Path, scripted: ScriptedApi, capfd: pytest.CaptureFixture[str]
) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/no/plugin"}}
    with pytest.raises(CredentialsError, match="no credentials for context 'scripted'") as caught:
        Cluster.open("scripted", scripted.kubeconfig(tmp_path, user), QUICK)
    assert "/no/plugin" in str(caught.value)
    assert scripted.asked == []
    assert capfd.readouterr().err == ""


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "config", "a")
    document = json.loads(path.read_text())
    document["clusters"][0]["cluster"]["certificate-authority"] = "absent.pem"
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match="cannot be used") as caught:
        Cluster.open("a", path)
    assert "absent.pem" in str(caught.value)


def test_the_service_account_of_a_pod_is_for_pods() -> None:
    with pytest.raises(UsageError, match="run in a pod"):
        load_login(IN_CLUSTER)


def test_an_unknown_authority_is_a_question_of_trust(tmp_path: Path) -> None:
    import ssl
    import threading
    from http.server import HTTPServer, SimpleHTTPRequestHandler

    from tests.services.certificates import make_certificates

    made = make_certificates(tmp_path / "certificates")
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        path = tmp_path / "config"
        document = kubeconfig(f"https://127.0.0.1:{server.server_port}", "a", {"token": "t"})
        path.write_text(json.dumps(document))
        with (
            Cluster.open("a", path, QUICK) as cluster,
            pytest.raises(CredentialsError, match="no trust between us and cluster 'a'"),
        ):
            cluster.get("/version")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
