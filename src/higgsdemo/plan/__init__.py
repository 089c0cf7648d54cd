"""The plan: samples into tasks, and what they will take: bytes, time, money."""

from higgsdemo.plan.tasks import (
    BYTES_PER_CORE_SECOND,
    EVENTS_PER_TASK,
    PROBED_FILES,
    START_S,
    Plan,
    Settings,
    make_plan,
)

__all__ = [
    "BYTES_PER_CORE_SECOND",
    "EVENTS_PER_TASK",
    "PROBED_FILES",
    "START_S",
    "Plan",
    "Settings",
    "make_plan",
]
