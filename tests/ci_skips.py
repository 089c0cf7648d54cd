"""In CI a skipped test is a failure, unless the machine cannot have what it needs.

A pytest plugin (`pytest -p tests.ci_skips`). With `CI=true` any skip whose reason is not one of
`ALLOWED` fails the session at its end, all reasons listed. Elsewhere it does nothing.
"""

import os
import platform
import re
from collections import Counter
from collections.abc import Callable

import pytest


def _always() -> bool:
    return True


def _not_x86_64() -> bool:
    return platform.machine() != "x86_64"


def _is_root() -> bool:
    return os.geteuid() == 0


def _one_core() -> bool:
    return len(os.sched_getaffinity(0)) < 2


# Reason of a skip (a regular expression, searched) -> whether it holds on this machine.
ALLOWED: dict[str, Callable[[], bool]] = {
    r"real CMS inputs \(\.\./shared/data\) are not on this machine": _always,
    r"\bROOT\b": _not_x86_64,  # its wheel is for x86_64 alone
    r"permissions do not bind root|root may write anywhere": _is_root,
    r"needs two cores": _one_core,
    r"needs several test processes": lambda: "PYTEST_XDIST_WORKER" not in os.environ,
}


def allowed(reason: str) -> bool:
    """Whether a test may be skipped for this reason, here, in CI."""
    return any(re.search(pattern, reason) and holds() for pattern, holds in ALLOWED.items())


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return why a test or a module was skipped."""
    told = report.longrepr
    text = told[2] if isinstance(told, tuple) else str(told)
    return text.removeprefix("Skipped: ")


class Skips:
    """Counts the skips of a session, and fails it for those that are not allowed."""

    def __init__(self) -> None:
        self.refused: Counter[tuple[str, str]] = Counter()  # (reason, file)

    def _take(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = reason_of(report)
            if not allowed(reason):
                self.refused[reason, report.nodeid.partition("::")[0]] += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._take(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._take(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.refused and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.refused:
            terminalreporter.section("skipped, which is a failure in CI", red=True, bold=True)
            for (reason, file), count in sorted(self.refused.items()):
                terminalreporter.line(f"{count} in {file}: {reason}")


def pytest_configure(config: pytest.Config) -> None:
    """Take part where CI is set, in the process that reports (not in its helpers)."""
    helper = hasattr(config, "workerinput")
    if os.environ.get("CI", "").lower() in ("true", "1") and not helper:
        config.pluginmanager.register(Skips(), "higgsdemo-ci-skips")
