"""Cross sections and event counts: the numbers that normalise the demo data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Process:
    """A simulated file: `channels` it fills, cross section (pb), scale factor, real event count."""

    name: str
    group: str
    channels: tuple[str, ...]
    cross_section_pb: float
    scale_factor: float
    real_events: int

    @property
    def effective_cross_section_pb(self) -> float:
        """Cross section times scale factor, pb."""
        return self.cross_section_pb * self.scale_factor


# Cross sections and scale factors: the constants of `skim.cxx` of
# cms-opendata-analyses/HiggsToFourLeptonsNanoAODOutreachAnalysis, equal to those of the public
# AOD analysis (values scaled to data by its authors). Event counts: of the real files, ibid.
PROCESSES = (
    Process("SMHiggsToZZTo4L", "higgs", ("4mu", "4e", "2mu2e"), 0.0065, 1.0, 299_973),
    Process("ZZTo4mu", "zz", ("4mu",), 0.077, 1.386, 1_499_064),
    Process("ZZTo4e", "zz", ("4e",), 0.077, 1.386, 1_499_093),
    Process("ZZTo2e2mu", "zz", ("2mu2e",), 0.18, 1.386, 1_497_445),
)

# Events of the real data files after the certified-sections mask, 2012 B + C (entries of the
# NMuons histograms of DoubleMu12 and DoubleE12 of the AOD analysis).
REAL_DATA_EVENTS = {"DoubleMuParked": 61_540_413, "DoubleElectron": 54_011_828}

# At events_scale = 1 the simulated files have as many events as the real ones, and the dilepton
# bulk, which cannot become a candidate, is one hundredth of the real one.
BULK_FRACTION = 0.01
