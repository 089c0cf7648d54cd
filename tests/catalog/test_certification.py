import gc
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from higgsdemo.catalog.certification import load_sections, mask
from higgsdemo.errors import UsageError
from higgsdemo.model import count_sections


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "golden.json"
    path.write_text(text)
    return path


def test_ranges_are_inclusive_and_joined(tmp_path: Path) -> None:
    path = written(tmp_path, '{"11": [[5, 9], [1, 3], [4, 4]], "7": [[2, 2]], "8": []}')
    sections = load_sections(path)
    assert sections == {7: [[2, 2]], 11: [[1, 9]]}
    runs = np.array([7, 7, 7, 11, 11, 11, 11, 8, 12], dtype=np.int32)
    lumis = np.array([1, 2, 3, 0, 1, 9, 10, 1, 1], dtype=np.uint32)
    expected = [False, True, False, False, True, True, False, False, False]
    assert mask(sections, runs, lumis).tolist() == expected


def test_nothing_certified_keeps_nothing(tmp_path: Path) -> None:
    runs = np.array([0, 1], dtype=np.uint32)
    assert not mask(load_sections(written(tmp_path, "{}")), runs, runs).any()
    assert not mask({1: []}, runs, runs).any()


def test_no_events() -> None:
    none = np.array([], dtype=np.uint32)
    assert mask({1: [[1, 2]]}, none, none).shape == (0,)


def test_different_lengths_are_a_bug() -> None:
    with pytest.raises(ValueError, match="shape"):
        mask({}, np.zeros(2, dtype=np.int32), np.zeros(3, dtype=np.int32))


@given(
    sections=st.dictionaries(
        st.integers(1, 6),
        st.lists(
            st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda pair: sorted(pair)),
            max_size=4,
        ),
    ),
    events=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 14)), max_size=60),
)
def test_as_a_plain_loop(
    sections: dict[int, list[list[int]]], events: list[tuple[int, int]]
) -> None:
    runs = np.array([run for run, _ in events], dtype=np.uint32)
    lumis = np.array([lumi for _, lumi in events], dtype=np.uint32)
    expected = [
        any(low <= lumi <= high for low, high in sections.get(run, [])) for run, lumi in events
    ]
    assert mask(sections, runs, lumis).tolist() == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[1, 2]]", "list"),
        ("not json", "Expecting value"),
        ('{"a": [[1, 2]]}', "'a' is not a run number"),
        ('{"-1": [[1, 2]]}', "not a run number"),
        ('{"' + "9" * 5000 + '": [[1, 2]]}', "not a run number"),
        ('{"1": [1, 2]}', "run 1"),
        ('{"1": [[1, 2, 3]]}', "run 1"),
        ('{"1": [[2, 1]]}', "run 1"),
        ('{"1": [[1.0, 2]]}', "run 1"),
        ('{"1": [[true, 2]]}', "run 1"),
        ('{"1": {"1": 2}}', "run 1"),
        ('{"1": [[1, 2]], "1": [[3, 4]]}', "run 1 is there twice"),
        ('{"1": [[1, 4294967296]]}', "run 1"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_sections(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load_sections(tmp_path / "none.json")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    with pytest.raises(UsageError, match="not a file of certified"):
        load_sections(tmp_path / "binary")


@pytest.mark.parametrize(
    ("name", "runs", "sections"),
    [
        ("Cert_160404-180252_7TeV_ReRecoNov08_Collisions11_JSON.txt", 470, 160526),
        ("Cert_190456-208686_8TeV_22Jan2013ReReco_Collisions12_JSON.txt", 572, 222264),
    ],
)
def test_the_real_files(shared_data: Path, name: str, runs: int, sections: int) -> None:
    path = shared_data / "certification" / name
    loaded = load_sections(path)
    assert len(loaded) == runs
    assert count_sections(loaded) == sections
    plain = json.loads(path.read_text())
    events = np.array(
        [
            (int(run), lumi)
            for run, spans in plain.items()
            for low, high in spans
            for lumi in {low - 1, low, high, high + 1}
        ]
    )
    expected = [
        any(low <= lumi <= high for low, high in plain[str(run)]) for run, lumi in events.tolist()
    ]
    assert mask(loaded, events[:, 0], events[:, 1]).tolist() == expected


def test_events_are_masked_together_not_one_by_one(shared_data: Path) -> None:
    name = "Cert_190456-208686_8TeV_22Jan2013ReReco_Collisions12_JSON.txt"
    sections = load_sections(shared_data / "certification" / name)
    keys = [(run, lumi) for run, spans in sections.items() for low, _ in spans for lumi in (low, 0)]

    def calls(copies: int) -> int:
        table = np.repeat(np.array(keys, dtype=np.uint32), copies, axis=0)
        runs, lumis = table[:, 0].copy(), table[:, 1].copy()
        made: list[str] = []
        gc.collect()  # not in the middle of it: what others left behind has calls, too
        sys.setprofile(lambda _frame, what, _of: made.append(what))
        try:
            kept = mask(sections, runs, lumis)
        finally:
            sys.setprofile(None)
        assert kept.mean() == 0.5
        return len(made)

    calls(1)  # whatever is imported or made once
    assert calls(100) == calls(1)


def test_a_worker_does_not_import_pydantic_or_yaml() -> None:
    program = (
        "import sys, higgsdemo.catalog.certification; "
        "print([name for name in ('pydantic', 'yaml', 'rich', 'typer') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"
