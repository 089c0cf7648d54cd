"""All that is there before the presenter begins: clusters, data, the image, our commands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from higgsdemo.cli.show import totals_of
from higgsdemo.ledger import closing_check, open_run
from higgsdemo.model import Totals
from higgsdemo.simulation import Settings, generate
from tests.kubernetes.client import Client, Document, write_kubeconfig
from tests.kubernetes.fixtures import RealCluster
from tests.kubernetes.laboratory import Commands, Stores
from tests.services.redis import RedisServer
from tests.services.s3 import S3Server

NAMESPACE = "higgsdemo"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
SEEDS = (1, 2, 3)  # 8 files of each: 24 tasks
SLOWLY_KB = 150  # a second, in each pod: a task takes some seconds, in which things can go wrong


@dataclass(frozen=True)
class Stage:
    """Clusters with a namespace each that is prepared, and what runs need besides."""

    clusters: Sequence[RealCluster]
    commands: Commands
    stores: Stores
    samples: Path
    image: str
    sinks: tuple[str, ...]
    files_per_sample: int = len(SEEDS)

    @property
    def names(self) -> str:
        """The clusters, as an option takes them."""
        return ",".join(cluster.name for cluster in self.clusters)

    def on(self, *clusters: RealCluster, files_per_sample: int = 1) -> "Stage":
        """Return the same with some of the clusters, and a third of the tasks: 8."""
        return replace(self, clusters=clusters, files_per_sample=files_per_sample)

    def through(self, contexts: Iterable[Document]) -> "Stage":
        """Return the same with other ways to the clusters."""
        config = self.commands.folder / f"kubeconfig-{len(list(self.commands.folder.iterdir()))}"
        write_kubeconfig(config, contexts)
        return replace(self, commands=self.commands.with_environment(KUBECONFIG=str(config)))

    def with_sinks(self, sinks: tuple[str, ...], bus: RedisServer) -> "Stage":
        """Return the same with other sinks, one of them a Redis of its own."""
        commands = self.commands.with_environment(REDIS_PASSWORD=bus.passwords["worker"])
        return replace(self, sinks=sinks, commands=commands)

    def preparation(self, *more: object) -> list[object]:
        """Return the words of `prepare`."""
        doors = (self.stores.s3_door.port, self.stores.redis_door.port)
        ports = [word for port in doors for word in ("--egress-port", port)]
        return ["prepare", "--clusters", self.names, "--image", self.image, *ports, *more]

    def submission(self, run: str, *more: object) -> list[object]:
        """Return the words of `submit`: many small pods, two at once in each cluster."""
        words = [
            "submit", "--samples", self.samples, "--clusters", self.names, "--image", self.image,
            "--run", run, "--cpu-limit", "200m", "--memory", "400MB", "--parallelism", 2,
            "--tasks-per-pod", 1, "--download-max-kb", SLOWLY_KB, "--limit", self.files_per_sample,
        ]  # fmt: skip
        words += [word for sink in self.sinks for word in ("--sink", sink)]
        return [*words, *more]

    def here(self) -> Totals:
        """The result of the same on this machine."""
        run = f"local-{self.files_per_sample}"
        if not (self.commands.folder / "runs" / run).exists():
            words = ("--run", run, "--limit", self.files_per_sample, "--no-plot")
            self.commands.good("run", self.samples, *words)
        return self.totals(run)

    def totals(self, run: str, runs: str = "runs") -> Totals:
        """The merged result of a run, whatever its name: all tasks done, each once."""
        made = open_run(self.commands.folder / runs, run)
        with made.look() as ledger:
            assert closing_check(ledger, made.manifest()) == []
            counts = ledger.counts()
            assert counts.done == counts.planned
            assert not counts.failed
            assert ledger.alarms() == []
        return replace(totals_of(made), run_id="")


def done_in(client: Client) -> int:
    """How many indexes of jobs are done in a cluster."""
    return sum(job["status"].get("succeeded", 0) for job in client.items(JOBS))


def uids(client: Client) -> list[str]:
    """What tells the jobs that are there from others of the same names."""
    return sorted(job["metadata"]["uid"] for job in client.items(JOBS))


def in_buckets(s3: S3Server, folder: Path, scale: float = 0.002) -> Path:
    """Generate simulated files, put them into a bucket, and return their sample file.

    Each sample has a file of each seed, and so a luminosity (or events) so many times as large.
    """
    bucket = s3.create_bucket()
    names: dict[str, list[str]] = {}
    for seed in SEEDS:
        made = folder / str(seed)
        generate(Settings(made, events_scale=scale, seed=seed))
        for file in sorted(made.glob("*.root")):
            url = s3.put(bucket, f"{seed}-{file.name}", file.read_bytes())
            names.setdefault(file.name, []).append(url)
    document = yaml.safe_load((folder / str(SEEDS[0]) / "samples.yaml").read_text())
    for sample in document["samples"]:
        sample["files"] = names[sample["files"][0]]
        for amount in {"generated_events", "luminosity_pb"} & sample.keys():
            sample[amount] *= len(SEEDS)
    samples = folder / "in-buckets.yaml"
    samples.write_text(yaml.safe_dump(document))
    return samples
