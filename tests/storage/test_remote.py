"""Streaming: what is fetched, in how many requests, how far ahead."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.columns import Wanted, open_events
from higgsdemo.errors import InputError
from higgsdemo.storage import Access, Range, ReadsAhead, Source, open_source
from higgsdemo.storage.remote import Head, Raw, RemoteSource
from tests.services.http_files import HttpServer
from tests.storage.conftest import blob, publish

Make = Callable[..., Access]
DATA = blob(300_000)


class Memory:
    """A file in memory; its parts are at most `part` bytes, `parts` of them a request."""

    shown = "memory"

    def __init__(self, data: bytes, part: int = 10**9, parts: int = 1, head: int = 0) -> None:
        self.data, self.part, self.parts, self.head = data, part, parts, head
        self.asked: list[Range] = []
        self.wait = threading.Event()
        self.wait.set()

    def open(self, count: int) -> Head:
        return Head(len(self.data), self.data[: self.head])

    def checksum(self) -> None: ...

    def plan(self, ranges: Sequence[Range]) -> list[list[Range]]:
        small = [
            (at, min(at + self.part, stop))
            for start, stop in sorted(ranges)
            for at in range(start, stop, self.part)
        ]
        return [small[at : at + self.parts] for at in range(0, len(small), self.parts)]

    def fetch(self, parts: Sequence[Range]) -> list[Raw]:
        self.wait.wait()
        self.asked += parts
        return [self.data[start:stop] for start, stop in parts]


@pytest.fixture(scope="module")
def pool():
    with ThreadPoolExecutor(4) as made:
        yield made


def test_it_is_a_source_that_reads_ahead(pool: ThreadPoolExecutor):
    source = RemoteSource(Memory(DATA), Access(), pool)
    assert isinstance(source, Source)
    assert isinstance(source, ReadsAhead)


RANGES = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 300)).map(lambda t: (t[0], sum(t))), max_size=8
)


@settings(deadline=None)
@given(
    reads=st.lists(st.tuples(RANGES, RANGES), max_size=4),
    part=st.integers(1, 500),
    parts=st.integers(1, 5),
    head=st.integers(0, 600),
)
def test_any_reads_are_right_whatever_was_fetched_ahead(
    pool: ThreadPoolExecutor,
    reads: list[tuple[list[Range], list[Range]]],
    part: int,
    parts: int,
    head: int,
):
    data = DATA[:2300]
    with RemoteSource(Memory(data, part, parts, head), Access(), pool) as source:
        for ahead, wanted in reads:
            source.prefetch(ahead)
            assert [bytes(one) for one in source.read(wanted)] == [data[a:b] for a, b in wanted]


def test_what_was_fetched_ahead_is_not_fetched_again(pool: ThreadPoolExecutor):
    memory = Memory(blob(3_000_000))
    with RemoteSource(memory, Access(), pool) as source:
        source.prefetch([(100, 200), (500, 600)])
        source.read([(500, 600), (120, 180)])
        assert sorted(memory.asked) == [(100, 200), (500, 600)]
        assert (source.bytes_read, source.requests) == (200, 3)


def test_prefetching_returns_at_once(pool: ThreadPoolExecutor):
    memory = Memory(DATA)
    memory.wait.clear()
    with RemoteSource(memory, Access(), pool) as source:
        began = time.monotonic()
        source.prefetch([(100, 200)])
        assert time.monotonic() - began < 0.5
        memory.wait.set()
        assert bytes(source.read([(100, 200)])[0]) == DATA[100:200]


def test_a_hint_beyond_the_file_is_no_error(pool: ThreadPoolExecutor):
    with RemoteSource(Memory(DATA), Access(), pool) as source:
        source.prefetch([(0, 10**9), (-5, 5)])
        with pytest.raises(InputError, match="truncated"):
            source.read([(0, 10**9)])
        with pytest.raises(ValueError, match="not a byte range"):
            source.read([(-5, 5)])


def test_the_end_of_a_file_is_fetched_once(pool: ThreadPoolExecutor):
    memory = Memory(DATA)
    with RemoteSource(memory, Access(), pool) as source:
        source.read([(299_000, 299_100)])
        source.read([(299_500, 300_000)])
        source.read([(296_000, 298_000)])
    assert len(memory.asked) == 1


def test_a_closed_source_cannot_be_read(pool: ThreadPoolExecutor):
    source = RemoteSource(Memory(DATA), Access(), pool)
    source.close()
    source.close()
    with pytest.raises(ValueError, match="closed"):
        source.read([(0, 1)])


def test_a_file_of_another_size_than_the_catalogue_says(pool: ThreadPoolExecutor):
    with pytest.raises(InputError, match="the file is truncated"):
        RemoteSource(Memory(DATA), Access(), pool, size_bytes=len(DATA) + 1)
    with pytest.raises(InputError, match="another size"):
        RemoteSource(Memory(DATA), Access(), pool, size_bytes=len(DATA) - 1)
    RemoteSource(Memory(DATA), Access(), pool, size_bytes=len(DATA)).close()


WANTED = Wanted(collections={"Muon": ("pt", "eta", "charge"), "Electron": ("pt",)})


def test_few_requests_and_few_bytes_and_the_same_columns(
    http_files: HttpServer, access: Make, events: Path
):
    publish(events, http_files.folder, "few.root")
    http_files.forget()
    with (
        open_source(http_files.url("few.root"), access=access()) as remote,
        open_source(events) as local,
    ):
        for there, here in zip(
            open_events(remote).chunks(WANTED, events=500),
            open_events(local).chunks(WANTED, events=500),
            strict=True,
        ):
            for name in here.values:
                assert there.values[name].tobytes() == here.values[name].tobytes()
        log = http_files.requests("few.root")
        assert remote.requests == len(log)
        assert remote.bytes_read == http_files.bytes_sent("few.root")
        assert remote.bytes_read < 1.1 * local.bytes_read + 64_000
        assert http_files.most_connections <= access().connections


def test_steps_are_fetched_ahead_to_the_byte(access: Make, events: Path):
    """What is foretold of the next step is what it then asks for."""

    class Foretold:
        def __init__(self, source: Source) -> None:
            self.source, self.url, self.size = source, source.url, source.size
            self.bytes_read = self.requests = 0
            self.told: list[list[Range]] = []
            self.asked: list[list[Range]] = []

        def read(self, ranges: Sequence[Range]) -> list[bytes | memoryview]:
            self.asked.append(list(ranges))
            return self.source.read(ranges)

        def prefetch(self, ranges: Sequence[Range]) -> None:
            self.told.append(list(ranges))

        def close(self) -> None: ...
        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None: ...

    with open_source(events) as local:
        source = Foretold(local)
        file = open_events(source)
        opened = len(source.asked)
        for step in (70, 500, 1111):
            source.told.clear()
            del source.asked[opened:]
            assert sum(one.stop - one.start for one in file.chunks(WANTED, events=step)) == 3000
            assert source.told == source.asked[opened + 1 :]


def test_the_limit_of_bytes_per_second_holds(http_files: HttpServer, access: Make):
    (http_files.folder / "slow").write_bytes(DATA)
    with open_source(
        http_files.url("slow"), access=access(download_bytes_per_second=400_000.0)
    ) as source:
        began = time.monotonic()
        source.read([(at, at + 20_000) for at in range(0, 300_000, 50_000)])
        source.read([(at, at + 50_000) for at in range(0, 300_000, 50_000)])
        assert time.monotonic() - began > 0.5 * 300_000 / 400_000
