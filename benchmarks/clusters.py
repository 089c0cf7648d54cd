"""Ours beside the 2019 demo's way in one cluster: `python benchmarks/clusters.py [--tasks N]`.

The demo made one Job object for each file, and listed all pods and Jobs at each look. We make an
Indexed Job for each sample and follow their status. Both on a real control plane of the same kind,
fresh for each, with the same simulated nodes (KWOK), on which every pod runs for 1 to 6 s and ends
well. Counted are our own requests and bytes, seconds to the end, the size of etcd, and the CPU
seconds of the control plane.

Needs the programs that scripts/install-test-kubernetes builds, and the demo's file indexes.
(The name of this file is not kubernetes.py: that would hide the package of this name.)
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.kubernetes.rehearsal.play import Settings, play  # noqa: E402
from tests.kubernetes.rehearsal.tasks import ALL, demo_tasks  # noqa: E402
from tests.kubernetes.rehearsal.world import (  # noqa: E402
    CALM,
    NAMESPACE,
    Meter,
    etcd_bytes,
    nodes_for,
    plain_pod,
    world,
)

from higgsdemo.clusters import Cluster  # noqa: E402 - the folder of the tests comes first

LOOK_S = 5.0
LIMIT = 200  # objects a page, as in the demo
ARCHIVE = ROOT.parent / "shared" / "data" / "file-indexes.tar.gz"
FIGURES = ("requests", "sent_bytes", "received_bytes", "submit_s", "seconds", "etcd_bytes", "cpu_s")


def demo_way(folder: Path, count: int, nodes: int, archive: Path) -> dict[str, Any]:
    """One Job a file; all pods and Jobs listed at each look."""
    _, tasks = demo_tasks(archive, count)
    with world(folder, ["demo"], nodes, CALM) as (plane,):
        meter = Meter([plane])
        jobs_path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
        pods_path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        with Cluster.open(plane.name, plane.kubeconfig) as cluster:
            began = time.monotonic()
            for number, task in enumerate(tasks):
                cluster.create(demo_job(f"job-{number:05d}", task.files[0].url))
            submitted = time.monotonic() - began
            looks = 0
            while True:
                looks += 1
                list(cluster.items(pods_path, limit=LIMIT))
                jobs = list(cluster.items(jobs_path, limit=LIMIT))
                meter.look()
                if sum(bool(job.get("status", {}).get("succeeded")) for job in jobs) == len(tasks):
                    break
                time.sleep(LOOK_S)
            return {
                "requests": cluster.traffic.requests,
                "sent_bytes": cluster.traffic.sent_bytes,
                "received_bytes": cluster.traffic.received_bytes,
                "submit_s": submitted,
                "seconds": time.monotonic() - began,
                "looks": looks,
                "etcd_bytes": etcd_bytes(plane),
                "cpu_s": meter.figures()["cpu_s"],
            }


def demo_job(name: str, url: str) -> dict[str, Any]:
    """Return a Job of the demo's shape: two containers' worth of environment, one file."""
    pod = plain_pod()
    pod["containers"][0]["env"] = [
        {"name": key, "value": value}
        for key, value in (
            ("CMS_INPUT_FILES", url),
            ("CMS_CONFIG", "/configs/demoanalyzer_cfg_level4data.py"),
            ("CMS_OUTPUT_FILE", "/tmp/output.root"),
            ("CMS_OUTPUT_JSON_FILE", "/tmp/output.json"),
            ("CMS_DATASET_NAME", url.rpartition("/")[0]),
        )
    ]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"backoffLimit": 5, "template": {"spec": pod}},
    }


def our_way(folder: Path, count: int, nodes: int, archive: Path) -> dict[str, Any]:
    """An Indexed Job a sample, followed by their status."""
    found = play(folder, Settings(archive, count, nodes, clusters=1, lose=False, calm=True))
    if found["account"]["wrong"]:
        raise SystemExit(f"the account is wrong: {found['account']}")
    we = found["we"]
    (submit,), (watch,) = we["submit_traffic"].values(), we["watch_traffic"].values()
    return {
        **{key: submit[key] + watch[key] for key in FIGURES[:3]},
        "submit_s": we["submit_s"],
        "seconds": we["seconds"],
        "jobs": we["jobs"],
        "etcd_bytes": sum(found["etcd_bytes"].values()),
        "cpu_s": found["control_planes"]["cpu_s"],
    }


def table(found: dict[str, Any]) -> str:
    """Return both, and the ratios."""
    demo, ours = found["demo"], found["ours"]
    lines = [
        f"{found['tasks']:,} tasks on {found['nodes']} simulated nodes of one cluster",
        f"{'':>16}{'the demo':>16}{'ours':>16}{'ratio':>10}",
    ]
    for figure in FIGURES:
        ratio = demo[figure] / ours[figure] if ours[figure] else float("inf")
        lines.append(f"{figure:>16}{demo[figure]:>16,.6g}{ours[figure]:>16,.6g}{ratio:>10.3g}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="The demo's way in a cluster, and ours.")
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--nodes", type=int, help="default: the demo's 660, in proportion")
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    parser.add_argument("--output", type=Path, metavar="FILE.json")
    chosen = parser.parse_args()
    if not chosen.archive.is_file():
        parser.error(f"the demo's file indexes are not there: {chosen.archive}")
    nodes = chosen.nodes or nodes_for(chosen.tasks, ALL)
    with tempfile.TemporaryDirectory(prefix="higgsdemo-clusters-") as place:
        folders = [Path(place) / name for name in ("demo", "ours")]
        for folder in folders:
            folder.mkdir()
        found = {
            "tasks": chosen.tasks,
            "nodes": nodes,
            "demo": demo_way(folders[0], chosen.tasks, nodes, chosen.archive),
            "ours": our_way(folders[1], chosen.tasks, nodes, chosen.archive),
        }
    print(table(found))
    if chosen.output:
        chosen.output.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
