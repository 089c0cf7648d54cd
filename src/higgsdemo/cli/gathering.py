"""Filling the ledger beside whatever else a command does: lives in `monitor`, notebooks use it."""

from higgsdemo.monitor.gathering import Gathering, known_versions

__all__ = ["Gathering", "known_versions"]
