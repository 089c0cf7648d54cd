"""Samples: what is analysed, with the numbers that normalise it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

DEMO_MARK = "SIMULATED_DEMO_DATA"  # the object in a file that says it was generated

Group = Literal["data", "higgs", "zz", "ttbar", "dy", "other"]
GROUPS: tuple[Group, ...] = ("data", "higgs", "zz", "ttbar", "dy", "other")
CHANNELS: tuple[str, ...] = ("4mu", "4e", "2mu2e")


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of a sample.

    `name` is the logical file name: the same wherever the bytes lie (the path below the sample
    set's folder, or from `/eos/opendata/` or `/store/` on). `url` is where they lie this time.
    """

    name: str
    url: str
    size_bytes: int | None = None
    luminosity_pb: float | None = None  # recorded in this file, pb^-1, where a table gives it
    checksum: str | None = None  # "adler32:1a2b3c4d", "md5:...", "crc32c:...", where known
    replicas: tuple[str, ...] = ()  # where else the same bytes lie, in the order to try them


@dataclass(frozen=True, slots=True)
class Sample:
    """One physics process, or one data stream of one year.

    Units: `cross_section_pb` pb, `luminosity_pb` pb^-1, `sqrt_s_tev` TeV. `scale_factor`
    multiplies the cross section (a k-factor, or a fit to data: see `sources`).
    """

    name: str
    group: Group
    files: tuple[InputFile, ...]
    year: int | None = None
    sqrt_s_tev: float | None = None
    format: Literal["nanoaod", "aod"] = "nanoaod"
    channels: tuple[str, ...] = CHANNELS  # final states this sample fills
    dataset: str | None = None  # the CMS dataset name
    record: int | None = None  # CERN Open Data record
    cross_section_pb: float | None = None
    scale_factor: float = 1.0
    generated_events: int | None = None  # simulated: events the whole sample stands for
    skimmed: bool = False  # the files hold a selection of them; else the events read count
    luminosity_pb: float | None = None  # data: recorded luminosity of the whole sample
    normalise_with: str | None = None  # samples sharing one cross section share this key
    demo: bool = False  # made by `higgsdemo generate`: SIMULATED DEMO DATA
    sources: dict[str, str] = field(default_factory=dict)  # number -> where it comes from

    @property
    def is_data(self) -> bool:
        """Whether this is recorded (or, for demo data, pseudo-recorded) data."""
        return self.group == "data"

    @property
    def effective_cross_section_pb(self) -> float | None:
        """Cross section times scale factor, pb."""
        if self.cross_section_pb is None:
            return None
        return self.cross_section_pb * self.scale_factor

    @property
    def normalisation(self) -> str:
        """The key under which simulated events are counted for the denominator."""
        return self.normalise_with or self.name


@dataclass(frozen=True, slots=True)
class SampleSet:
    """Samples that are analysed together."""

    name: str
    samples: tuple[Sample, ...]
    title: str = ""
    description: str = ""

    @property
    def demo(self) -> bool:
        """Whether any of it is SIMULATED DEMO DATA."""
        return any(sample.demo for sample in self.samples)

    def __getitem__(self, name: str) -> Sample:
        for sample in self.samples:
            if sample.name == name:
                return sample
        raise KeyError(name)
