"""What is known of a run at a moment, kept up to date at the price of what is new."""

from higgsdemo.monitor.background import Background
from higgsdemo.monitor.history import History
from higgsdemo.monitor.monitor import Monitor
from higgsdemo.monitor.performance import Performance, read_performance, record_performance
from higgsdemo.monitor.replay import ReplayClock, ReplaySource, replayed
from higgsdemo.monitor.source import LedgerSource, Source, State
from higgsdemo.monitor.view import Moment, Rates, SampleView, View

__all__ = [
    "Background",
    "History",
    "LedgerSource",
    "Moment",
    "Monitor",
    "Performance",
    "Rates",
    "ReplayClock",
    "ReplaySource",
    "SampleView",
    "Source",
    "State",
    "View",
    "read_performance",
    "record_performance",
    "replayed",
]
