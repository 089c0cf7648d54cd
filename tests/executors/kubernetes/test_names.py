"""Names within Kubernetes' limits."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from higgsdemo.executors.kubernetes.names import MOST_INDEXES, job_name, label, run_name, tasks_name

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
ANY = st.text(max_size=200)


@settings(deadline=None)
@given(run=ANY, sample=ANY, number=st.integers(1, 99_999))
def test_names_fit_whatever_runs_and_samples_are_called(run: str, sample: str, number: int) -> None:
    job = job_name(run, sample, number)
    host = f"{job}-{MOST_INDEXES - 1}"  # the host name of its last pod
    assert LABEL.fullmatch(host)
    assert len(host) <= 63
    assert LABEL.fullmatch(run_name(run))
    assert len(tasks_name(job, 99)) <= 253
    assert VALUE.fullmatch(label(sample))
    assert len(label(sample)) <= 63


def test_names_are_readable_and_tell_runs_and_samples_apart() -> None:
    assert job_name("demo", "ZZTo4mu", 3).startswith("h-demo-zzto4mu-")
    assert job_name("demo", "A B", 1) != job_name("demo", "A_B", 1)
    assert job_name("Demo", "A", 1) != job_name("demo", "A", 1)
    assert label("Run2012B_DoubleMuParked") == "Run2012B_DoubleMuParked"
    assert label("a" * 70) != label("a" * 71)
