"""What the detector makes of true leptons: acceptance, efficiency, resolution, isolation, tracks.

A parametrised CMS of 2012. Shapes are simple functions; their constants are set so that the
selected events of the AOD analysis (histograms `HZZ12`, `ZZ4mu12`, `ZZ4e12`, `ZZ2mu2e12` of the
CMS Open Data H -> 4l example) come out: yields per channel, m4l, pT, relative isolation and
impact-parameter significance. Resolutions are of the size CMS published for 2012:
muons arXiv:1206.4071, electrons arXiv:1502.02701. The thresholds and sentinels are those of the
public producer (AOD2NanoAODOutreachTool, `src/AOD2NanoAOD.cc`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from higgsdemo.simulation.kinematics import Floats
from higgsdemo.simulation.leptons import (
    ELECTRON,
    FROM_TAU,
    MASSES,
    MUON,
    NON_PROMPT,
    STRAY,
    Flags,
    Integers,
    Leptons,
    together,
)
from higgsdemo.simulation.runs import Places

MISSING = -999.0  # what the producer writes for "not there"
MUON_PT, ELECTRON_PT = 3.0, 5.0  # GeV, below which the producer drops them
MEAN_VERTICES = 15.0  # per event, 2012 pile-up

Column = npt.NDArray[Any]


@dataclass(frozen=True)
class Reconstructed:
    """A block of reconstructed events.

    `event` (n,) gives the event of each lepton, in order; `muon` (n,) tells muons from
    electrons; `leptons` are columns of shape (n,), `globals_` columns of shape (events,).
    """

    events: int
    event: Integers
    muon: Flags
    leptons: dict[str, Column]
    globals_: dict[str, Column]

    def select(self, keep: Flags) -> Reconstructed:
        """Return the events for which `keep` (events,) is true, in the same order."""
        number = np.cumsum(keep) - 1
        chosen = keep[self.event]
        return Reconstructed(
            events=int(keep.sum()),
            event=number[self.event[chosen]],
            muon=self.muon[chosen],
            leptons={name: values[chosen] for name, values in self.leptons.items()},
            globals_={name: values[keep] for name, values in self.globals_.items()},
        )

    def reorder(self, order: Integers) -> Reconstructed:
        """Return the events in another order: new event i is the old `order[i]`."""
        place = np.empty(self.events, dtype=np.int64)
        place[order] = np.arange(self.events)
        event = place[self.event]
        rows = np.argsort(event, kind="stable")
        return Reconstructed(
            events=self.events,
            event=event[rows],
            muon=self.muon[rows],
            leptons={name: values[rows] for name, values in self.leptons.items()},
            globals_={name: values[order] for name, values in self.globals_.items()},
        )

    def at(self, places: Places) -> Reconstructed:
        """Return the same events with their run, luminosity section and event number."""
        columns: dict[str, Column] = {
            "run": places.run,
            "luminosityBlock": places.section,
            "event": places.event,
            "position": places.position,
        }
        return dataclasses.replace(self, globals_={**columns, **self.globals_})

    def count(self, chosen: Flags) -> Integers:
        """Return how many of the `chosen` (n,) leptons each event has."""
        return np.bincount(self.event[chosen], minlength=self.events)


def concatenate(parts: list[Reconstructed]) -> Reconstructed:
    """Put blocks behind one another."""
    shifts = np.cumsum([0, *(part.events for part in parts)])
    return Reconstructed(
        events=int(shifts[-1]),
        event=np.concatenate(
            [part.event + shift for part, shift in zip(parts, shifts[:-1], strict=True)]
        ),
        muon=np.concatenate([part.muon for part in parts]),
        leptons={
            name: np.concatenate([part.leptons[name] for part in parts])
            for name in parts[0].leptons
        },
        globals_={
            name: np.concatenate([part.globals_[name] for part in parts])
            for name in parts[0].globals_
        },
    )


# Stray leptons per event: what makes "all leptons of the event" cuts reject good events.
# Set by the ratio of the tutorial's yields (all leptons must pass) to the AOD analysis's.
STRAY_MUONS, STRAY_ELECTRONS = 0.13, 0.13


def strays(rng: np.random.Generator, events: int) -> Leptons:
    """Draw soft leptons from pile-up, decays in flight and misidentification."""
    counts = {
        MUON: rng.poisson(STRAY_MUONS, events),
        ELECTRON: rng.poisson(STRAY_ELECTRONS, events),
    }
    event = np.concatenate([np.repeat(np.arange(events), many) for many in counts.values()])
    flavour = np.repeat(list(counts), [int(many.sum()) for many in counts.values()])
    total = event.size
    threshold = np.where(flavour == MUON, MUON_PT, ELECTRON_PT)
    return Leptons(
        events=events,
        event=event,
        pt=threshold + rng.exponential(2.5, total),
        eta=rng.uniform(-2.5, 2.5, total),
        phi=rng.uniform(-np.pi, np.pi, total),
        charge=rng.choice(np.array([-1, 1]), total),
        flavour=flavour,
        origin=np.full(total, STRAY),
    )


def reconstruct(
    rng: np.random.Generator, truth: Leptons, *, with_strays: bool = True
) -> Reconstructed:
    """Simulate the detector's response to a block of events."""
    if with_strays:
        truth = together([truth, strays(rng, truth.events)], same_events=True)
    truth = truth[(truth.pt > 2.0) & (np.abs(truth.eta) < 2.7)]
    found = truth[rng.random(truth.pt.size) < _found(truth)]
    measured_pt, eta, phi, charge = _measure(rng, found)
    kept = measured_pt > np.where(found.flavour == MUON, MUON_PT, ELECTRON_PT)
    kept &= np.abs(eta) < np.where(found.flavour == MUON, 2.4, 2.5) + 0.02
    rank = rng.random(found.pt.size)  # of the collection, not of pT
    order = np.flatnonzero(kept)
    order = order[np.argsort(found.event[order] + rank[order])]
    lepton = found[order]
    pt, eta, phi, charge = measured_pt[order], eta[order], phi[order], charge[order]
    muon = lepton.flavour == MUON

    vertices = 1 + rng.poisson(MEAN_VERTICES - 1, truth.events)
    identified = rng.random(pt.size) < _identified(lepton, pt)
    iso03, iso04 = _isolation(rng, lepton, pt, vertices)
    iso03, iso04 = (np.where(identified, iso, MISSING) for iso in (iso03, iso04))
    track = _tracks(rng, lepton, pt, eta)
    lost = muon & (rng.random(pt.size) > _global_track(lepton, pt))
    for name in track:
        track[name] = np.where(lost, MISSING, track[name])
    tight = identified & ~lost & (lepton.origin != STRAY)
    columns: dict[str, Column] = {
        "pt": pt.astype(np.float32),
        "eta": eta.astype(np.float32),
        "phi": phi.astype(np.float32),
        "mass": _masses(rng, muon, pt, eta).astype(np.float32),
        "charge": charge.astype(np.int32),
        "pfRelIso03_all": iso03.astype(np.float32),
        "pfRelIso04_all": iso04.astype(np.float32),
        **{name: values.astype(np.float32) for name, values in track.items()},
        "tightId": tight & (rng.random(pt.size) < 0.97),
        "softId": ~lost & (rng.random(pt.size) < 0.95),
        "pfId": identified,
        "cutBasedId": identified | (rng.random(pt.size) < 0.5),
    }
    return Reconstructed(
        events=truth.events,
        event=lepton.event,
        muon=muon,
        leptons=columns,
        globals_=_globals(rng, truth.events, vertices, lepton.event, columns, muon),
    )


def _found(truth: Leptons) -> Floats:
    """Probability that a lepton is in the collection at all."""
    eta = np.abs(truth.eta)
    muon = np.where(truth.pt > 3.5, 0.995, 0.8)
    # electrons: the seeding turns on slowly; the gap between barrel and endcap
    electron = 0.96 * (1 - 0.22 * np.exp(-np.maximum(truth.pt - 5, 0) / 7))
    electron = electron * np.where((eta > 1.44) & (eta < 1.57), 0.75, 1.0)
    electron = electron * np.where(eta > 2.0, 0.93, 1.0)
    electron = electron * np.where(truth.pt > 45, 0.98, 1.0)  # pairs on the mass shell, ZZ4e12
    found = np.where(truth.flavour == MUON, muon, electron)
    return np.where(truth.origin == STRAY, 1.0, found)


def _measure(rng: np.random.Generator, truth: Leptons) -> tuple[Floats, Floats, Floats, Integers]:
    """Smear pT, eta and phi, and flip the charge of some."""
    count = truth.pt.size
    eta = np.abs(truth.eta)
    muon = truth.flavour == MUON
    resolution = np.hypot(0.0105 + 0.0055 * eta**1.5, 1.2e-4 * truth.pt)
    energy = truth.pt * np.cosh(truth.eta)
    electron = np.hypot(0.020 + 0.014 * (eta > 1.5), 0.15 / np.sqrt(np.maximum(energy, 1.0)))
    resolution = np.where(muon, resolution, electron)
    wide = ~muon & (rng.random(count) < 0.15)  # badly measured showers
    scale = 1 + resolution * np.where(wide, 2.5, 1.0) * rng.standard_normal(count)
    scale += np.where(muon, 0.0, 0.006)  # the calibration is of the mean, tail included
    # bremsstrahlung that the supercluster misses: a low tail, longer where there is more tracker
    radiated = ~muon & (rng.random(count) < 0.15 + 0.12 * (eta > 1.0))
    scale -= np.where(radiated, 0.06 * rng.exponential(1.0, count), 0.0)
    flips = rng.random(count) < np.where(muon, 1e-4, 0.005 + 0.012 * (eta > 1.5))
    return (
        truth.pt * np.maximum(scale, 0.05),
        truth.eta + 4e-4 * rng.standard_normal(count),
        _wrapped(truth.phi + 3e-4 * rng.standard_normal(count)),
        np.where(flips, -truth.charge, truth.charge),
    )


def _wrapped(phi: Floats) -> Floats:
    return np.asarray((phi + np.pi) % (2 * np.pi) - np.pi)


def _identified(lepton: Leptons, pt: Floats) -> Floats:
    """Probability to be a particle-flow candidate, without which there is no isolation."""
    muon = np.where(pt > 5, 0.99, 0.9)
    electron = 0.985 - 0.10 * np.exp(-np.maximum(pt - 5, 0) / 6)
    prompt = np.where(lepton.flavour == MUON, muon, electron)
    return np.where(lepton.origin == STRAY, 0.5, prompt)


def _global_track(lepton: Leptons, pt: Floats) -> Floats:
    """Probability that a muon has a global track (tracker and chambers fitted together)."""
    prompt = np.where(pt > 5, 0.995, 0.92)
    return np.where(lepton.origin == STRAY, 0.5, prompt)


def _isolation(
    rng: np.random.Generator, lepton: Leptons, pt: Floats, vertices: Integers
) -> tuple[Floats, Floats]:
    """Sum of particle-flow pT in cones of 0.3 and 0.4, relative to the lepton's pT.

    Pile-up is not subtracted, so the sum grows with the number of vertices. For electrons the
    producer stores the reconstruction's default cone alone, under the name pfRelIso03_all.
    """
    count = pt.size
    pile_up = vertices[lepton.event] / MEAN_VERTICES
    shape = np.where(lepton.flavour == MUON, 0.95, 1.5)
    mean = np.where(lepton.flavour == MUON, 2.0, 2.45)
    around = rng.gamma(shape, mean / shape * pile_up)
    # hadronic activity that is not soft: the recoil, other jets
    around = around + np.where(rng.random(count) < 0.10, rng.exponential(8.0, count), 0.0)
    jet = pt * rng.gamma(1.5, 0.75, count)
    around = np.where(lepton.origin == NON_PROMPT, around + jet, around)
    around = np.where(lepton.origin == STRAY, around + 0.7 * jet, around)
    # what of the cone of 0.4 lies in 0.3; electrons have one cone, whatever its name
    share = np.where(lepton.flavour == MUON, rng.beta(4.0, 3.0, count), 1.0)
    return around * share / pt, around / pt


def _tracks(
    rng: np.random.Generator, lepton: Leptons, pt: Floats, eta: Floats
) -> dict[str, Floats]:
    """Impact parameters to the first primary vertex and their errors, cm.

    Errors are multiple scattering plus the intrinsic resolution of the pixels (CMS tracking,
    arXiv:1405.6569). In a few events the first vertex is not the lepton's own.
    """
    count = pt.size
    muon = lepton.flavour == MUON
    forward = 1 + 0.35 * eta**2
    dxy_error = np.hypot(0.0016, 0.0075 / pt * np.sqrt(forward))
    dz_error = np.hypot(0.0030, 0.0090 / pt * forward) * (1 + 0.25 * np.abs(eta))
    dxy_error = dxy_error * rng.lognormal(0.0, 0.15, count)
    dz_error = dz_error * rng.lognormal(0.0, 0.2, count)
    # pulls: the vertex is fitted with the lepton in it; electrons radiate
    pull = np.where(muon, 0.82, 1.05)
    tail = rng.random(count) < np.where(muon, 0.02, 0.055)
    pull = pull * np.where(tail, rng.uniform(1.0, 8.0, count), 1.0)
    dxy = pull * dxy_error * rng.standard_normal(count)
    dz = pull * dz_error * rng.standard_normal(count)
    # a tau flies 87 um c tau; a b hadron 450 um, with momentum shared by its daughters
    flight = np.select(
        [lepton.origin == FROM_TAU, lepton.origin == NON_PROMPT, lepton.origin == STRAY],
        [0.0045, 0.016, 0.03],
        0.0,
    )
    dxy = dxy + flight * rng.laplace(0.0, 1.0, count)
    dz = dz + flight * rng.laplace(0.0, 1.0, count)
    wrong_vertex = rng.random(lepton.events) < 0.008
    shift = 5.0 * rng.standard_normal(lepton.events)
    dz = dz + np.where(wrong_vertex, shift, 0.0)[lepton.event]
    other_vertex = (lepton.origin == STRAY) & (rng.random(count) < 0.4)
    dz = dz + np.where(other_vertex, 5.0 * rng.standard_normal(count), 0.0)
    return {"dxy": dxy, "dxyErr": dxy_error, "dz": dz, "dzErr": dz_error}


def _masses(rng: np.random.Generator, muon: Flags, pt: Floats, eta: Floats) -> Floats:
    """Return stored masses, GeV. Electrons carry the rounding of E^2 - p^2, sometimes negative."""
    energy = pt * np.cosh(eta)
    squared = MASSES[ELECTRON] ** 2 + 3e-8 * energy**2 * rng.standard_normal(pt.size)
    electron = np.sign(squared) * np.sqrt(np.abs(squared))
    return np.where(muon, MASSES[MUON], electron)


def _globals(
    rng: np.random.Generator,
    events: int,
    vertices: Integers,
    event: Integers,
    columns: dict[str, Column],
    muon: Flags,
) -> dict[str, Column]:
    """Event columns: vertices, missing transverse momentum, single-muon trigger bits."""
    isolated = muon & (columns["pfRelIso03_all"] < 0.15) & (columns["pfRelIso03_all"] >= 0)
    hit = isolated & (columns["pt"] > 24) & (rng.random(event.size) < 0.88)
    within = hit & (np.abs(columns["eta"]) < 2.1)
    tau = isolated & (columns["pt"] > 17) & (rng.random(event.size) < 0.03)
    bits = {
        "HLT_IsoMu24_eta2p1": within,
        "HLT_IsoMu24": hit,
        "HLT_IsoMu17_eta2p1_LooseIsoPFTau20": tau,
    }
    return {
        **{name: np.bincount(event[on], minlength=events) > 0 for name, on in bits.items()},
        "PV_npvs": vertices.astype(np.int32),
        "PV_x": (0.072 + 0.002 * rng.standard_normal(events)).astype(np.float32),
        "PV_y": (0.062 + 0.002 * rng.standard_normal(events)).astype(np.float32),
        "PV_z": (5.0 * rng.standard_normal(events)).astype(np.float32),
        "MET_pt": rng.rayleigh(14.0, events).astype(np.float32),
        "MET_phi": rng.uniform(-np.pi, np.pi, events).astype(np.float32),
    }
