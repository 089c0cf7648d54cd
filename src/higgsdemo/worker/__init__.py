"""What runs on a worker: one function, `run_task`. Every engine calls it and nothing else.

As a program (`python -m higgsdemo.worker`) it runs tasks in three forms, see `__main__`.
"""

from higgsdemo.worker.settings import ENVIRONMENT, EXIT_CODES
from higgsdemo.worker.task import attempt, run_task

__all__ = ["ENVIRONMENT", "EXIT_CODES", "attempt", "run_task"]
