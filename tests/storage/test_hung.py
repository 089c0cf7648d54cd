"""Reads that never come back."""

import os
import threading
from collections.abc import Callable

import pytest

from higgsdemo.storage import Access, hung, open_source, wire
from higgsdemo.storage.hung import limit_local_reads, within
from tests.services.faults import FaultServer, Trickle
from tests.storage.conftest import blob

Make = Callable[..., Access]


@pytest.fixture(autouse=True)
def _no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hung, "LOOK_S", 0.02)
    monkeypatch.setattr(hung, "_on_local", None)


def test_a_limit_that_is_exceeded_is_told_once():
    told = threading.Semaphore(0)
    with within(0.01, told.release) as limit:
        assert told.acquire(timeout=30)
        assert limit.over
    assert not told.acquire(timeout=0.2)


def test_one_that_is_kept_is_not_told_later():
    told = threading.Event()
    with within(0.3, told.set) as limit:
        pass
    assert not told.wait(0.6)
    assert not limit.over


def test_a_local_read_that_hangs(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Reading goes on when the disk comes back after all: who was told decides, not we."""
    path = tmp_path / "f"
    path.write_bytes(b"123")
    told: list[tuple[str, float]] = []
    here, there = os.pipe()
    true = os.pread

    def hangs(*where: int) -> bytes:
        os.read(here, 1)
        return true(*where)

    def give_up(url: str, seconds: float) -> None:
        told.append((url, seconds))
        os.write(there, b"x")

    limit_local_reads(0.05, give_up)
    with open_source(path) as source:
        monkeypatch.setattr(os, "pread", hangs)
        assert source.read([(0, 3)]) == [b"123"]
    assert told == [(str(path), 0.05)]
    os.close(here)
    os.close(there)


def test_a_server_that_goes_on_too_slowly_is_asked_again(
    faults: FaultServer, access: Make, monkeypatch: pytest.MonkeyPatch
):
    """It is never silent for long, so no stall is seen: 10 bytes each 50 ms."""
    data = blob(20_000)
    (faults.folder / "slow").write_bytes(data)
    faults.script("slow", None, Trickle(200.0), Trickle(200.0))
    monkeypatch.setattr(wire, "SLOWEST", 50_000.0)
    with open_source(faults.url("slow"), access=access(stall_s=0.4)) as source:
        assert bytes(source.read([(9_000, 12_000)])[0]) == data[9_000:12_000]
    assert len([entry for entry in faults.requests("slow") if entry.fault]) == 2


def test_one_that_is_always_too_slow_is_told(
    faults: FaultServer, access: Make, monkeypatch: pytest.MonkeyPatch
):
    (faults.folder / "slow").write_bytes(blob(20_000))
    faults.script("slow", then=Trickle(200.0))
    monkeypatch.setattr(wire, "SLOWEST", 1e6)
    from higgsdemo.errors import TransientError

    with pytest.raises(TransientError, match="bytes did not come in") as caught:
        open_source(faults.url("slow"), access=access(stall_s=0.4, tries=2))
    assert "2 tries" in str(caught.value)


def test_a_limit_of_our_own_is_no_slowness(access: Make):
    """Eight connections share 800 bytes a second: 100 each, and twice the time for that."""
    held = wire.Wire(access(stall_s=1, download_bytes_per_second=800.0, connections=8))
    assert held._longest(1000) == 2 + 1000 / 50
    held.close()
