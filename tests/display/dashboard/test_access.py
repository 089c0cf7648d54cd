import socket
import stat
from pathlib import Path

import pytest

from higgsdemo.display.dashboard.access import Ways, is_loopback, listen, origin, same, token
from higgsdemo.errors import RunError, UsageError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org", ""])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_a_port_in_use_gives_way_to_the_next() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listening, found = listen("127.0.0.1", port)
        with listening:
            assert found > port


def test_no_port_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("higgsdemo.display.dashboard.access.TRIED", 0)
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(RunError, match="in use"),
    ):
        listen("127.0.0.1", taken.getsockname()[1])


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(RunError, match="cannot listen"):
        listen("192.0.2.1", 0)


def test_the_token_is_kept_for_its_user_alone(tmp_path: Path) -> None:
    environment = {"XDG_STATE_HOME": str(tmp_path)}
    made = token(environment)
    assert len(made) >= 32
    assert token(environment) == made  # a page finds back after a restart
    mode = (tmp_path / "higgsdemo" / "dashboard-token").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_token_of_ones_own(tmp_path: Path) -> None:
    environment = {"XDG_STATE_HOME": str(tmp_path), "HIGGSDEMO_DASHBOARD_TOKEN": "mine"}
    assert token(environment) == "mine"
    assert not [*tmp_path.iterdir()]


def test_without_a_home_there_is_a_token_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert len(token({"XDG_STATE_HOME": str(tmp_path / "file")})) >= 32


def test_tokens_of_any_letters_are_compared() -> None:
    assert same("ü", "ü")
    assert not same("ü", "u")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://hub.example.org", "hub.example.org"),
        ("https://Hub.example.org:8443/", "hub.example.org:8443"),
        ("hub.example.org", "hub.example.org"),
    ],
)
def test_origins(text: str, host: str) -> None:
    assert origin(text) == host


@pytest.mark.parametrize("text", ["", "https://", "https://hub/user/x", "hub?x=1", "http://[::1"])
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(UsageError, match="origin"):
        origin(text)


def test_the_ways_are_exact_where_the_machine_says_them() -> None:
    ways = Ways("127.0.0.1", 8866, None)
    assert ways.url == "http://127.0.0.1:8866/"
    said = dict(ways.lines({"USER": "ada", "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}))
    assert "ssh -N -L 8866:127.0.0.1:8866 ada@" in said["your laptop, over SSH"]
    assert "/user/ada/proxy/8866/" in said["a notebook's proxy, with --allow-origin HOST"]
    in_pod = dict(ways.lines({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}))
    pod = socket.gethostname()
    assert f"port-forward pod/{pod} 8866:8866" in in_pod["outside the cluster"]


def test_the_token_is_part_of_what_to_open() -> None:
    ways = Ways("0.0.0.0", 8866, "secret")
    assert ways.url == f"http://{socket.gethostname()}:8866/?token=secret"
    assert all("?token=secret" in what for _, what in ways.lines({}))
