"""Reading the status of a Job."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higgsdemo.executors.kubernetes.status import (
    JobStatus,
    format_indexes,
    indexes,
    parse_indexes,
    size,
)


@given(st.sets(st.integers(0, 500)))
def test_indexes_are_read_as_they_are_written(numbers: set[int]) -> None:
    ranges = parse_indexes(format_indexes(numbers))
    assert indexes(ranges) == numbers
    assert size(ranges) == len(numbers)


def test_as_kubernetes_writes_them() -> None:
    assert parse_indexes("1,3-5,7") == ((1, 1), (3, 5), (7, 7))
    assert parse_indexes("") == ()


@pytest.mark.parametrize("text", ["a", "3-1", "5,4", "1,1", "-3", "1-"])
def test_what_is_no_list_of_indexes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_indexes(text)


def test_a_job() -> None:
    status = JobStatus.of(
        {
            "metadata": {"name": "j", "uid": "u", "labels": {"a": "b"}},
            "spec": {"completions": 9, "suspend": True},
            "status": {
                "active": 3, "ready": 2, "succeeded": 4, "failed": 1,
                "completedIndexes": "0-2,8", "failedIndexes": "5",
                "conditions": [
                    {"type": "FailureTarget", "status": "True", "reason": "FailedIndexes"},
                    {"type": "Failed", "status": "True", "reason": "FailedIndexes", "message": "m"},
                ],
            },
        }
    )  # fmt: skip
    assert (status.active, status.ready, status.succeeded, status.failed) == (3, 2, 4, 1)
    assert indexes(status.completed) == {0, 1, 2, 8}
    assert (status.ended, status.message, status.suspended) == ("FailedIndexes", "m", True)
    bare = JobStatus.of({"metadata": {"name": "j"}})
    assert (bare.completed, bare.ended, bare.suspended) == ((), "", False)
