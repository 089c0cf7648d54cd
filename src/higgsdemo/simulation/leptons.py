"""Leptons of a block of events as flat columns, in the order of the events."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from higgsdemo.simulation.kinematics import Floats, pt_eta_phi

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

ELECTRON, MUON, TAU = 11, 13, 15  # PDG identifiers, without sign
MASSES = {ELECTRON: 0.000510999, MUON: 0.105658, TAU: 1.77686}  # GeV, PDG

# Where a lepton comes from; it decides its isolation and impact parameter.
PROMPT, FROM_TAU, NON_PROMPT, STRAY = 0, 1, 2, 3


@dataclass(frozen=True)
class Leptons:
    """True leptons, flat. Shapes (n,); `event` does not decrease and is below `events`.

    `pt` GeV, `eta`, `phi` rad, `charge` +-1, `flavour` 11 or 13, `origin` one of PROMPT,
    FROM_TAU (a tau's daughter), NON_PROMPT (hadron decays, misidentified jets) and STRAY (soft
    leptons that have nothing to do with the hard process).
    """

    events: int
    event: Integers
    pt: Floats
    eta: Floats
    phi: Floats
    charge: Integers
    flavour: Integers
    origin: Integers

    def __getitem__(self, chosen: Flags | Integers) -> Leptons:
        columns = {
            field.name: getattr(self, field.name)[chosen]
            for field in dataclasses.fields(self)
            if field.name != "events"
        }
        return Leptons(events=self.events, **columns)


def from_vectors(
    vectors: Sequence[Floats],
    charges: Sequence[Integers],
    flavours: Sequence[Integers],
    origins: Sequence[int | Integers],
) -> Leptons:
    """Flatten per-slot arrays (one four-vector array per lepton of the event).

    A flavour of 0 means that the slot is empty in that event.
    """
    events = vectors[0].shape[1]
    pt, eta, phi = pt_eta_phi(np.concatenate(vectors, axis=1))
    every = Leptons(
        events=events,
        event=np.tile(np.arange(events), len(vectors)),
        pt=pt,
        eta=eta,
        phi=phi,
        charge=np.concatenate(charges),
        flavour=np.concatenate(flavours),
        origin=np.concatenate([np.broadcast_to(origin, events) for origin in origins]),
    )
    return every[every.flavour != 0]


def together(parts: Sequence[Leptons], *, same_events: bool = False) -> Leptons:
    """Concatenate: other events behind one another, or more leptons of the same events."""
    shifts = np.cumsum([0, *(part.events for part in parts)])
    if same_events:
        shifts[:] = 0
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in dataclasses.fields(Leptons)
        if field.name not in {"events", "event"}
    }
    event = np.concatenate(
        [part.event + shift for part, shift in zip(parts, shifts[:-1], strict=True)]
    )
    events = parts[0].events if same_events else int(shifts[-1])
    return Leptons(events=events, event=event, **columns)
