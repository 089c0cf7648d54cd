import threading
import time
from collections.abc import Callable

import pytest

from higgsdemo.errors import InputError, TransientError
from higgsdemo.storage import Access
from higgsdemo.storage.patience import PassingError, Rate, WholeFileError, patiently

Make = Callable[..., Access]


class Flaky:
    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls: list[float] = []

    def __call__(self) -> str:
        self.calls.append(time.monotonic())
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def test_what_passes_is_tried_again(access: Make):
    flaky = Flaky(*(PassingError("busy") for _ in range(5)))
    assert patiently(flaky, access(), "u", threading.Event()) == "done"
    assert len(flaky.calls) == 6


def test_the_last_failure_is_told_without_secrets(access: Make):
    flaky = Flaky(*(PassingError(f"no: my-token-123 {i}") for i in range(9)))
    told = access({"BEARER_TOKEN": "my-token-123"}, tries=3)
    with pytest.raises(TransientError) as caught:
        patiently(flaky, told, "https://u:p@h/f", threading.Event())
    assert caught.value.why == "no: *** 2 (3 tries)"
    assert caught.value.where == "https://***@h/f"
    assert len(flaky.calls) == 3


def test_what_does_not_pass_is_not_tried_again(access: Make):
    flaky = Flaky(InputError("gone"))
    with pytest.raises(InputError):
        patiently(flaky, access(), "u", threading.Event())
    assert len(flaky.calls) == 1


def test_the_server_says_when_to_come_back(access: Make):
    flaky = Flaky(PassingError("busy", retry_after=0.3))
    patiently(flaky, access(), "u", threading.Event())
    assert 0.3 <= flaky.calls[1] - flaky.calls[0] < 1


def test_a_server_that_asks_for_hours_is_left(access: Make):
    flaky = Flaky(PassingError("busy", retry_after=7200))
    with pytest.raises(TransientError, match="come back in 7200 s"):
        patiently(flaky, access(), "u", threading.Event())


def test_pauses_double_up_to_the_longest(access: Make):
    flaky = Flaky(*(PassingError("busy") for _ in range(5)))
    patiently(flaky, access(pause_s=0.04, longest_pause_s=0.1), "u", threading.Event())
    pauses = [b - a for a, b in zip(flaky.calls, flaky.calls[1:], strict=False)]
    for pause, longest in zip(pauses, (0.04, 0.08, 0.1, 0.1, 0.1), strict=True):
        assert longest / 2 <= pause < longest + 0.1


def test_some_failures_are_given_up_earlier(access: Make):
    flaky = Flaky(*(WholeFileError(10) for _ in range(9)))
    with pytest.raises(TransientError, match="3 tries"):
        patiently(flaky, access(), "u", threading.Event())


def test_who_gave_up_is_not_kept_waiting(access: Make):
    given_up = threading.Event()
    threading.Timer(0.1, given_up.set).start()
    began = time.monotonic()
    with pytest.raises(TransientError):
        patiently(Flaky(PassingError("busy", 60)), access(), "u", given_up)
    assert time.monotonic() - began < 5


def test_a_rate_holds_for_all_threads_together():
    rate = Rate(1_000_000)
    began = time.monotonic()
    threads = [
        threading.Thread(target=lambda: [rate.take(10_000) for _ in range(10)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.28 <= time.monotonic() - began < 1.5  # 0.4 s, less the burst of 0.1 s
    assert rate.step == 100_000
