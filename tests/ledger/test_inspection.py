"""What is not taken for a result of a run."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from higgsdemo.ledger import Ledger, Merger
from higgsdemo.ledger.inspection import Inspector
from higgsdemo.model import Histogram, Result
from higgsdemo.sinks import Parcel, ParcelError
from tests.documents import put
from tests.ledger.builders import (
    AXIS,
    SAMPLES,
    make_task,
    make_tasks,
    manifest_of,
    new_ledger,
    result_of,
)

TASKS = make_tasks(4)
RESULT = result_of(TASKS[1], sections_seen={194050: [[1, 7]]}, sections_used=None)
DOCUMENT = RESULT.pack()
COUNTS = len(DOCUMENT["counts"])


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    with new_ledger(tmp_path, TASKS) as made:
        yield made


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with new_ledger(tmp_path_factory.mktemp("empty"), TASKS) as made:
        yield made


def parcel(document: dict[str, Any], run: str = "test", result: Result = RESULT) -> Parcel:
    return Parcel(run, True, document, form=result.output.form)


def inspector(ledger: Ledger, **versions: str) -> Inspector:
    return Inspector(manifest_of(TASKS), ledger, versions)


def test_right_results_pass(ledger: Ledger) -> None:
    one = inspector(ledger, h4l="1")
    for task in TASKS:
        one.inspect(parcel(result_of(task).pack()))
    one.inspect(parcel(DOCUMENT))


def changed(path: str, value: object) -> dict[str, Any]:
    """Return DOCUMENT with another value at `path`; Ellipsis takes the key away."""
    way = (int(key) if key.isdigit() else key for key in path.split("//"))
    document: dict[str, Any] = put(DOCUMENT, tuple(way), value)
    return document


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("schema", 1, "result schema 1, not 2"),
        ("schema", None, "schema None"),
        ("task", "0" * 16, "no task"),
        ("task", make_task(99).id, "no task"),
        ("sample", "another", "planned is"),
        ("workflow", "another", "planned is"),
        ("version", "2", "version '2'"),
        ("version", 1, "version 1"),
        ("events", ..., "events"),
        ("extra", 1, "extra"),
        ("events", -1, "wrong kind"),
        ("events", 1.0, "wrong kind"),
        ("events", True, "wrong kind"),
        ("events", "7", "wrong kind"),
        ("files", 2**60, "wrong kind"),
        ("schema", 2.0, "result schema 2.0, not 2"),
        ("form", ..., "form"),
        ("places", {}, "not a result"),
        ("places", [0] * COUNTS, "not in order"),
        ("places//0", 0.5, "not a result"),
        ("counts", [1], "not as many counts"),
        ("counts", None, "not a result"),
        ("counts//0", -1, "too small"),
        ("counts//0", 0, "too small"),
        ("counts//0", 2**70, "too large"),
        ("counts//0", "1", "not a result"),
        ("counts//0", [1], "not a result"),
        ("passed", 3, "not a result"),
        ("passed", [1], "not as many counts"),
        ("passed//0", -1, "too small"),
        ("passed//0", 1.5, "not a result"),
        ("passed//0", True, "not a result"),
        ("passed//0", 2**53, "too large"),
        ("sections_seen", [], "not a result"),
        ("sections_seen", {"x": [[1, 2]]}, "wrong kind"),
        ("sections_seen", {"007": [[1, 2]]}, "wrong kind"),
        ("sections_seen", {"٣": [[1, 2]]}, "wrong kind"),
        ("sections_seen", {"9" * 5000: [[1, 2]]}, "wrong kind"),
        ("sections_seen", {"1": [[1, 2]] * 100_001}, "wrong kind"),
        ("sections_seen", {"1": [[2, 1]]}, "wrong kind"),
        ("sections_seen", {"1": [2, 1]}, "not a result"),
        ("sections_used", {"1": [[1, 2, 3]]}, "not a result"),
        ("provenance", [], "wrong kind"),
        ("counters", {"wall_s": "1"}, "wrong kind"),
        ("counters", {"wall_s": float("nan")}, "wrong kind"),
        ("counters", [], "not a result"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_is_refused(empty: Ledger, path: str, value: object, said: str, first: bool) -> None:
    one = inspector(empty, h4l="1")
    if not first:
        one.inspect(parcel(DOCUMENT))
    with pytest.raises(ParcelError, match=said):
        one.inspect(parcel(changed(path, value)))


def test_another_run(ledger: Ledger) -> None:
    with pytest.raises(ParcelError, match="of run 'other'"):
        inspector(ledger).inspect(parcel(DOCUMENT, "other"))


def test_another_axis_than_before(ledger: Ledger) -> None:
    wider = Histogram.of(dataclasses.replace(AXIS, upper=6.0), [1.0])
    found = result_of(TASKS[1], histograms={"4mu/x": wider})
    other = found.pack()
    one = inspector(ledger)
    one.inspect(parcel(DOCUMENT))
    with pytest.raises(ParcelError, match="another axis"):
        one.inspect(parcel(other, result=found))
    ledger.deliver(RESULT)
    again = inspector(ledger)  # what the ledger has counts after a restart
    with pytest.raises(ParcelError, match="another axis"):
        again.inspect(parcel(other, result=found))


def test_every_form_counts_after_a_restart(ledger: Ledger) -> None:
    other = result_of(TASKS[3], histograms={"4mu/y": Histogram.zeros(AXIS)})
    assert other.sample == RESULT.sample
    ledger.deliver(RESULT)
    ledger.deliver(other)
    wider = Histogram.zeros(dataclasses.replace(AXIS, upper=6.0))
    third = result_of(make_task(1, SAMPLES[1]), histograms={"4mu/y": wider})
    with pytest.raises(ParcelError, match="another axis"):
        inspector(ledger).inspect(parcel(third.pack(), result=third))


def test_which_version_counts(ledger: Ledger) -> None:
    newer = changed("version", "2")
    inspector(ledger).inspect(parcel(newer))  # nobody knows better
    inspector(ledger, h4l="2").inspect(parcel(newer))
    one = inspector(ledger)
    one.inspect(parcel(DOCUMENT))  # the first decides
    with pytest.raises(ParcelError, match="version '2'"):
        one.inspect(parcel(newer))
    ledger.deliver(RESULT)
    with pytest.raises(ParcelError, match="version '2'"):  # not what is installed now
        inspector(ledger, h4l="2").inspect(parcel(newer))


def test_what_passes_can_be_merged(ledger: Ledger) -> None:
    one = inspector(ledger)
    merger = Merger(manifest_of(TASKS))
    for task in TASKS:
        document = result_of(task).pack()
        merger.fold(one.inspect(parcel(document)))
    assert sum(s.events for s in merger.totals().samples.values()) == 1 + 2 + 3 + 4
