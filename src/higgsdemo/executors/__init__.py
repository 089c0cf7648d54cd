"""Engines: one file each behind one small protocol, and the loop that drives them."""

from higgsdemo.executors.drive import Observer, Outcome, Policy, drive
from higgsdemo.executors.local import LocalExecutor, usable_cores
from higgsdemo.executors.protocol import Event, Executor, Started

__all__ = [
    "Event",
    "Executor",
    "LocalExecutor",
    "Observer",
    "Outcome",
    "Policy",
    "Started",
    "drive",
    "usable_cores",
]
