"""What whoever starts a worker must know: its environment, and what its exit status means."""

from __future__ import annotations

from collections.abc import Mapping

from higgsdemo.errors import Cause

ENVIRONMENT: Mapping[str, str] = {
    # A task uses one core; numpy starts faster without a pool of threads for more.
    "OPENBLAS_NUM_THREADS": "1",
    # glibc: keep what was freed instead of giving it back, and ask for huge pages. A task touches
    # its memory once; page faults were a quarter of its CPU time (see benchmarks).
    "GLIBC_TUNABLES": (
        "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432"
        ":glibc.malloc.trim_threshold=268435456:glibc.malloc.top_pad=16777216"
    ),
}
"""What whoever starts a worker process sets, unless the user has: numbers stay the same."""

EXIT_CODES = {
    Cause.BAD_INPUT: 65,
    Cause.BUG: 70,
    Cause.TRANSIENT: 75,
    Cause.CREDENTIALS: 77,
    Cause.RESOURCES: 137,
}
"""The exit status of a worker by the cause of its failure."""

TOLD_TO_END = 128 + 15
"""Exit status after SIGTERM, as a shell gives it."""
