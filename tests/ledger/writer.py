"""A process that works through a ledger as a driver does, and tells what is acknowledged.

python writer.py LEDGER MANIFEST SEED
"""

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from higgsdemo.ledger import Ledger, read_manifest
from ledger.builders import failure_of, result_of


def tell(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def main(path: str, manifest: str, seed: str) -> None:
    chance = random.Random(int(seed))
    tasks = {task.id: task for task in read_manifest(Path(manifest)).tasks}
    with Ledger.open(Path(path)) as ledger:
        ledger.recover()
        tell("ready")
        while waiting := ledger.queued():
            for task_id in waiting:
                ledger.start(task_id, "writer")
                if chance.random() < 0.2:
                    ledger.fail(failure_of(tasks[task_id]), again=True)
                    tell("failed", task_id)
                    continue
                ledger.deliver(result_of(tasks[task_id]))
                tell("done", task_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
