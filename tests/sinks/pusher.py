"""A worker's side of a run: delivers the results of some tasks, and says when each is taken.

python -m tests.sinks.pusher URL RUN SEED COUNT [TASK ID ...]
"""

import random
import sys
import time

from higgsdemo.sinks import Patience, open_sink
from tests.ledger.builders import make_tasks, result_of


def main(url: str, run: str, seed: str, count: str, *only: str) -> None:
    tasks = list(make_tasks(int(count)))
    random.Random(seed).shuffle(tasks)
    with open_sink(url, patience=Patience(30, 0.02, 0.2)) as sink:
        for task in tasks:
            if not only or task.id in only:
                sink.deliver(result_of(task), run)
                sys.stdout.write(task.id + "\n")
                sys.stdout.flush()
                time.sleep(0.002)  # so that kills meet it at work


if __name__ == "__main__":
    main(*sys.argv[1:])
