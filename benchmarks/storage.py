"""Bytes, requests and CPU time per kind of store: `python benchmarks/storage.py [--quick]`.

The worker streaming and staging in, beside plain uproot and coffea, over real servers on this
machine (those of tests/services). Requests and bytes are counted on the way, in a run of its own;
CPU time is that of the client process, without anything in between. Prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tools
from counting import xrootd_relay
from peers_floor import baskets
from shapes import SHAPES, ensure, warm
from tools import Broken, Missing

from higgsdemo.worker import ENVIRONMENT

sys.path.insert(0, str(tools.HERE.parent))
from tests.services.faults import FaultServer, fault_server
from tests.services.gcs import gcs_server
from tests.services.http_files import (
    Answer,
    Asked,
    HttpServer,
    files_folder,
    http_server,
)
from tests.services.programs import UnavailableError
from tests.services.s3 import s3_server
from tests.services.xrootd import xrootd_server

BYTES_OVER_NEEDED = 1.1
REQUESTS_OF_UPROOT = 1 / 5
CPU_OVER_LOCAL = 1.25
TINY, FILE = "tiny.root", "shape.root"
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


@dataclass(frozen=True)
class Store:
    """A kind of store with both files in it: where, with which settings, and how to count.

    `count` gives (requests, bytes) of the big file since it was last called.
    """

    name: str
    urls: tuple[str, str]
    settings: Mapping[str, str] = field(default_factory=dict)
    counted_urls: tuple[str, str] | None = None
    counted_settings: Mapping[str, str] = field(default_factory=dict)
    count: Callable[[], tuple[int, int]] | None = None


@dataclass(frozen=True)
class Peer:
    """A program `PEER TINY FILE`."""

    name: str
    command: tuple[str | Path, ...]
    settings: Mapping[str, str] = field(default_factory=dict)

    def run(self, urls: tuple[str, str], settings: Mapping[str, str]) -> dict[str, Any]:
        return tools.said([*self.command, *urls], self.name, {**settings, **self.settings})


def peers(stage: Path) -> tuple[list[Peer], list[str]]:
    """Who is compared, and why somebody is missing."""
    ours = (sys.executable, tools.HERE / "worker_loop.py", "published", "auto")
    found = [
        Peer("streaming", ours, ENVIRONMENT),
        Peer("stage-in", ours, {**ENVIRONMENT, "HIGGSDEMO_STAGE_IN": str(stage)}),
        Peer("uproot", (sys.executable, tools.HERE / "peers_uproot.py")),
    ]
    try:
        python = tools.find_python("coffea", "HIGGSDEMO_COFFEA_PYTHON")
    except Missing as missing:
        return found, [str(missing)]
    return [*found, Peer("coffea", (python, tools.HERE / "peers_coffea.py", "default"))], []


def _log(server: HttpServer) -> Callable[[], tuple[int, int]]:
    """Count what a server was asked about the big file."""

    def count() -> tuple[int, int]:
        asked = [entry for entry in server.requests() if entry.path.endswith(FILE)]
        server.forget()
        return len(asked), sum(entry.sent for entry in asked)

    return count


@contextmanager
def http(files: tuple[Path, Path], folder: Path) -> Iterator[Store]:
    with http_server(folder) as server:
        _lay(files, server.folder)
        urls = (server.url(TINY), server.url(FILE))
        yield Store("HTTP", urls, counted_urls=urls, count=_log(server))


@contextmanager
def s3(files: tuple[Path, Path], folder: Path) -> Iterator[Store]:
    with s3_server(folder) as server, fault_server(folder, upstream=server.endpoint) as between:
        bucket = server.create_bucket()
        urls = _put(files, lambda name, body: server.put(bucket, name, body))
        keys = {
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_REGION": server.region,
            "AWS_DEFAULT_REGION": server.region,
        }
        yield Store(
            "S3 (SeaweedFS)", urls, {**keys, "AWS_ENDPOINT_URL": server.endpoint},
            urls, {**keys, "AWS_ENDPOINT_URL": between.endpoint}, _log(between),
        )  # fmt: skip


class _Renaming(FaultServer):
    """Passes requests on under the name of the server: the GCS emulator answers to no other."""

    def _pass_on(self, asked: Asked) -> Answer:
        host = urlsplit(self.upstream or "").netloc
        return super()._pass_on(replace(asked, headers={**asked.headers, "host": host}))


@contextmanager
def _renamed(folder: Path, upstream: str) -> Iterator[FaultServer]:
    server = _Renaming(files_folder(folder), None, upstream)
    with server.serving():
        yield server


@contextmanager
def gcs(files: tuple[Path, Path], folder: Path) -> Iterator[Store]:
    with gcs_server(folder) as server, _renamed(folder, server.endpoint) as between:
        bucket = server.create_bucket()
        urls = _put(files, lambda name, body: server.put(bucket, name, body))
        anonymous = {**server.environment, "FSSPEC_GS_TOKEN": "anon"}
        yield Store(
            "GCS (fake-gcs-server)", urls, anonymous,
            urls, {**anonymous, "STORAGE_EMULATOR_HOST": between.endpoint}, _log(between),
        )  # fmt: skip


@contextmanager
def xrootd(files: tuple[Path, Path], folder: Path) -> Iterator[Store]:
    with xrootd_server(folder) as server, xrootd_relay(server.endpoint) as (relay, counted):
        _lay(files, server.folder)
        urls = (server.url(TINY), server.url(FILE))
        through = tuple(url.replace(server.endpoint, relay) for url in urls)

        def count() -> tuple[int, int]:
            found = counted.requests, counted.received
            counted.reset()
            return found

        yield Store("XRootD", urls, {}, (through[0], through[1]), {}, count)


def _lay(files: tuple[Path, Path], folder: Path) -> None:
    """Put the files into a served folder."""
    for path, name in zip(files, (TINY, FILE), strict=True):
        shutil.copyfile(path, folder / name)


def _put(files: tuple[Path, Path], put: Callable[[str, bytes], str]) -> tuple[str, str]:
    return put(TINY, files[0].read_bytes()), put(FILE, files[1].read_bytes())


KINDS = {"s3": s3, "gs": gcs, "root": xrootd, "http": http}


def traffic(store: Store, peer: Peer) -> tuple[int, int]:
    """Requests and bytes of one pass over the big file.

    Over XRootD, where the relay sees no names, those of a pass over the small one are taken off.
    """
    assert store.count is not None
    assert store.counted_urls is not None
    settings = {**store.settings, **store.counted_settings}
    tiny, big = store.counted_urls
    store.count()
    peer.run((tiny, big), settings)
    requests, received = store.count()
    if store.name == "XRootD":
        peer.run((tiny, tiny), settings)
        once = store.count()
        requests, received = requests - once[0] // 2, received - once[1] // 2
    return requests, received


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="of CPU time (default 5)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the events, one round")
    parser.add_argument("--shape", default="zz", choices=[shape.name for shape in SHAPES])
    parser.add_argument("--store", action="append", choices=[*KINDS])
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="write all figures")
    parser.add_argument("--cache", type=Path, default=tools.cache_folder())
    parser.add_argument("--check", action="store_true", help="exit 1 if a goal is missed")
    chosen = parser.parse_args()
    rounds = 1 if chosen.quick else chosen.rounds
    try:
        root = tools.find_root()
    except Missing as missing:
        root = None
        print(f"files are as uproot writes them, not rewritten by ROOT: {missing}")
    shape = next(one for one in SHAPES if one.name == chosen.shape)
    made = ensure(shape, chosen.cache, root, quick=chosen.quick)
    files = (made.tiny, made.path)
    needed = sum(size for _, size in baskets(str(made.path)))
    size = made.path.stat().st_size
    figures: dict[str, Any] = {"events": made.events, "bytes": size, "needed": needed, "stores": {}}
    goals = []
    print(
        f"\n{made.events:,} events of {shape.name} in {size / 1e6:.1f} MB, of which the baskets of "
        f"the needed branches are {needed / 1e6:.1f} MB; CPU: median of {rounds}\n"
    )
    with tempfile.TemporaryDirectory(dir=_MEMORY) as stage, ExitStack() as stack:
        people, absent = peers(Path(stage))
        for line in absent:
            print(line)
        local = Store("local file", (str(files[0]), str(files[1])))
        stores = [local]
        for name in chosen.store or KINDS:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            try:
                stores.append(stack.enter_context(KINDS[name](files, folder)))
            except UnavailableError as error:
                print(f"{name} is left out: {error}")
        warm(made.path)
        for store in stores:
            found = measure(store, people, rounds)
            figures["stores"][store.name] = found
            print(table(store.name, found, figures))
            goals += goals_of(store, found, figures)
    print("\ngoals")
    for what, measured, wanted in goals:
        verdict = "met" if measured <= wanted else "MISSED"
        print(f"  {verdict:7} {what:46} {measured:8.3f} <= {wanted:g}")
    if chosen.output:
        chosen.output.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if chosen.check and any(measured > wanted for _, measured, wanted in goals) else 0


def measure(store: Store, people: list[Peer], rounds: int) -> dict[str, dict[str, Any]]:
    """Traffic once, CPU time in rounds A B C ..., of who can read from this store."""
    found: dict[str, dict[str, Any]] = {}
    counts = None
    for peer in people:
        if store.count is None and peer.name == "stage-in":
            continue  # a local file is not staged in
        tools.progress(f"{store.name}: traffic of {peer.name}")
        try:
            found[peer.name] = {"cpu_s": []}
            if store.count is not None:
                requests, received = traffic(store, peer)
                found[peer.name] |= {"requests": requests, "received": received}
            else:
                peer.run(store.urls, store.settings)
        except Broken as error:
            del found[peer.name]
            last = str(error).strip().splitlines()[-1]
            print(f"{peer.name} does not read from {store.name}: {last[:200]}")
    for number in range(rounds):
        for peer in people:
            if peer.name not in found:
                continue
            tools.progress(f"{store.name} {number + 1}/{rounds}: {peer.name}")
            said = peer.run(store.urls, store.settings)
            counts = counts or said["counts"]["events"]
            if said["counts"]["events"] != counts:
                raise Broken(f"{peer.name}: {said['counts']['events']} events of {counts}")
            found[peer.name]["cpu_s"].append(said["loop_cpu_s"])
    tools.progress("")
    return found


def table(name: str, found: dict[str, dict[str, Any]], figures: dict[str, Any]) -> str:
    """The rows of a store, in Markdown."""
    lines = [
        f"**{name}**\n",
        "| | bytes, MB | of needed | requests | of uproot's | CPU, s | of local |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    plain = found.get("uproot", {}).get("requests")
    for peer, one in found.items():
        cpu = statistics.median(one["cpu_s"])
        at_home = over_local(peer, one, figures)
        row = ["", "", "", ""]
        if "requests" in one:
            of_uproot = f"{one['requests'] / plain:.3f}" if plain else ""
            row = [
                f"{one['received'] / 1e6:.1f}", f"{one['received'] / figures['needed']:.2f}",
                f"{one['requests']:,}", of_uproot,
            ]  # fmt: skip
        ratio = "" if at_home is None else f"{at_home:.2f}"
        lines.append(f"| {peer} | {' | '.join(row)} | {cpu:.2f} | {ratio} |")
    return "\n".join(lines) + "\n"


def over_local(peer: str, one: dict[str, Any], figures: dict[str, Any]) -> float | None:
    """CPU time over that of the same program on a local file (stage-in: of streaming)."""
    at_home = figures["stores"].get("local file", {})
    same = at_home.get("streaming" if peer == "stage-in" else peer)
    if same is None:
        return None
    return statistics.median(one["cpu_s"]) / statistics.median(same["cpu_s"])


def goals_of(
    store: Store, found: dict[str, dict[str, Any]], figures: dict[str, Any]
) -> list[tuple[str, float, float]]:
    ours, plain = found.get("streaming"), found.get("uproot")
    if ours is None or "requests" not in ours:
        return []
    goals = [
        (f"{store.name}: bytes of needed", ours["received"] / figures["needed"], BYTES_OVER_NEEDED)
    ]
    if plain is not None:
        share = ours["requests"] / plain["requests"]
        goals.append((f"{store.name}: requests of uproot's", share, REQUESTS_OF_UPROOT))
    ratio = over_local("streaming", ours, figures)
    if store.name.startswith("S3") and ratio is not None:
        goals.append((f"{store.name}: CPU time of local", ratio, CPU_OVER_LOCAL))
    return goals


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # in a pipe too
    began = time.monotonic()
    status = main()
    print(f"\n{time.monotonic() - began:.0f} s")
    sys.exit(status)
