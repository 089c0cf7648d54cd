from collections.abc import Callable
from pathlib import Path

import pytest

from higgsdemo.errors import CredentialsError, InputError, TransientError
from higgsdemo.storage import Access, ReadsAhead, Source, open_source, replicas
from tests.services.faults import FaultServer, Status
from tests.services.http_files import HttpServer
from tests.storage.conftest import publish

Make = Callable[..., Access]
Digest = Callable[[Source], str]


@pytest.fixture(autouse=True)
def _forget() -> None:
    replicas._failed.clear()


@pytest.fixture
def copies(faults: FaultServer, http_files: HttpServer, events: Path) -> tuple[str, str]:
    publish(events, faults.folder, "a.root")
    publish(events, http_files.folder, "a.root")
    return faults.url("a.root"), http_files.url("a.root")


@pytest.mark.parametrize(
    ("good", "fault"),
    # Midway, only what may pass leads to another copy.
    [(0, Status(404)), (0, Status(403)), *((good, Status(503)) for good in range(4))],
)
def test_another_copy_is_read_where_one_fails(
    faults: FaultServer,
    copies: tuple[str, str],
    access: Make,
    digest: Digest,
    true_digest: str,
    good: int,
    fault: Status,
):
    faults.script("a.root", *good * [None], then=fault)
    first, other = copies
    with open_source(first, replicas=[other], access=access(tries=2)) as source:
        assert isinstance(source, Source)
        assert isinstance(source, ReadsAhead)
        assert digest(source) == true_digest
        assert source.url == (first if good > 3 else other)
        assert source.requests > 2


def test_a_copy_that_is_another_file_is_not_read_on(
    faults: FaultServer, http_files: HttpServer, copies: tuple[str, str], access: Make,
    digest: Digest, events: Path,
):  # fmt: skip
    content = bytearray(events.read_bytes())
    content[50] ^= 1
    (http_files.folder / "other.root").write_bytes(content)
    faults.script("a.root", None, None, then=Status(503))
    with (
        open_source(
            copies[0], replicas=[http_files.url("other.root")], access=access(tries=2)
        ) as source,
        pytest.raises(TransientError, match="503") as caught,
    ):
        digest(source)
    assert "a copy is another file" in str(caught.value)


def test_all_failures_are_told_the_passing_one_first(copies: tuple[str, str], access: Make):
    gone = copies[1] + ".gone"
    with pytest.raises(InputError, match="no such file") as caught:
        open_source(gone, replicas=[gone + "2"], access=access())
    assert "and " + gone + "2: cannot read the input: no such file" in str(caught.value)
    with pytest.raises(TransientError, match="cannot reach"):
        open_source(gone, replicas=["http://127.0.0.1:9/a.root"], access=access(tries=1))


def test_locked_out_everywhere(faults: FaultServer, copies: tuple[str, str], access: Make):
    faults.script("a.root", then=Status(403))
    with pytest.raises(CredentialsError):
        open_source(copies[0], replicas=[copies[0]], access=access())


def test_a_server_that_failed_is_asked_last_for_a_while(
    faults: FaultServer, copies: tuple[str, str], access: Make
):
    faults.script("a.root", then=Status(503))
    for _ in range(3):
        with open_source(copies[0], replicas=[copies[1]], access=access(tries=2)) as source:
            assert source.url == copies[1]
    assert len(faults.requests("a.root")) == 2
