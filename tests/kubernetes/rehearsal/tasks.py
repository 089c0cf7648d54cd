"""The tasks: one for each file of the 2019 demo, by its own file indexes."""

import tarfile
from pathlib import Path

from higgsdemo.model import Axis, Histogram, Output, Result, Sample, Task, TaskFile

ALL = 26_920
AXIS = Axis(20, 70.0, 180.0, "m4l", "GeV")
EVENTS = 7  # of each task; small, so that the time is that of the clusters
_END = "_file_index.txt"


def demo_tasks(archive: Path, count: int = ALL) -> tuple[tuple[Sample, ...], list[Task]]:
    """Return samples and tasks: `count` of the files, the same share of each index.

    Parts of one dataset (`..._10000`, `..._20000`) are one sample, as they are one process.
    """
    urls: dict[str, list[str]] = {}
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda one: one.name):
            file = tar.extractfile(member) if member.isfile() else None
            if file is None:
                continue
            name = Path(member.name).name.removesuffix(_END).rpartition("_")[0]
            urls.setdefault(name, []).extend(file.read().decode().split())
    everything = [(name, url) for name in sorted(urls) for url in dict.fromkeys(urls[name])]
    step = len(everything) / min(count, len(everything))
    chosen = [everything[int(number * step)] for number in range(min(count, len(everything)))]
    tasks = [
        Task(name, (TaskFile(url, url),), events=EVENTS, is_data="_Run20" in name)
        for name, url in chosen
    ]
    samples = tuple(
        Sample(name, "data" if "_Run20" in name else "other", ())
        for name in dict.fromkeys(name for name, _ in chosen)
    )
    return samples, tasks


def result_of(task: Task) -> Result:
    """Return the result of a task: different for each, the same each time."""
    seed = int(task.id[:8], 16)
    values = [70.0 + (seed >> shift) % 110 for shift in range(EVENTS)]
    output = Output(
        events=EVENTS,
        histograms={"4mu/m4l": Histogram.of(AXIS, values)},
        cutflow={"4mu": (("all events", EVENTS),)},
    )
    return Result(task.id, task.sample, task.workflow, "1", 1, output)
