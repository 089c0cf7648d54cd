"""The plan: samples into tasks, and what they will take: bytes, time, money."""

from higgsdemo.plan.fact import Fact, measure, record_fact
from higgsdemo.plan.forecast import (
    ClusterForecast,
    ClusterShape,
    Forecast,
    Pace,
    make_forecast,
    shape_of_flavor,
    slots_of,
)
from higgsdemo.plan.prices import Machine, Prices, read_prices
from higgsdemo.plan.tasks import (
    BYTES_PER_CORE_SECOND,
    EVENTS_PER_TASK,
    PROBED_FILES,
    START_S,
    Plan,
    Settings,
    check_formats,
    make_plan,
)

__all__ = [
    "BYTES_PER_CORE_SECOND",
    "EVENTS_PER_TASK",
    "PROBED_FILES",
    "START_S",
    "ClusterForecast",
    "ClusterShape",
    "Fact",
    "Forecast",
    "Machine",
    "Pace",
    "Plan",
    "Prices",
    "Settings",
    "check_formats",
    "make_forecast",
    "make_plan",
    "measure",
    "read_prices",
    "record_fact",
    "shape_of_flavor",
    "slots_of",
]
