"""Sample sets of files that are no ROOT files: a transfer does not look inside."""

import zlib
from collections.abc import Sequence
from pathlib import Path

from higgsdemo.model import InputFile, Sample, SampleSet
from tests.storage.conftest import blob

MB = 1024 * 1024


def adler32(data: bytes) -> str:
    return f"adler32:{zlib.adler32(data):08x}"


def contents(*sizes: int) -> dict[str, bytes]:
    return {f"f{number}.root": blob(size, f"f{number}") for number, size in enumerate(sizes)}


def publish(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def set_of(
    base: str, files: dict[str, bytes], *, known: bool = True, replicas: Sequence[str] = ()
) -> SampleSet:
    """Return a set of one sample, whose files lie below `base`; `known`: their checksums are."""
    listed = tuple(
        InputFile(
            f"/eos/opendata/x/{name}",
            f"{base}/{name}",
            len(data) if known else None,
            checksum=adler32(data) if known else None,
            replicas=tuple(f"{other}/{name}" for other in replicas),
        )
        for name, data in files.items()
    )
    return SampleSet("these", (Sample("S", "zz", listed, cross_section_pb=1.0),))
