"""Four-vectors for whole arrays of events: decays, boosts, and the view of the detector.

A four-vector array has shape (4, n): E, px, py, pz in GeV. Directions have shape (3, n).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def kallen(a: Floats | float, b: Floats | float, c: Floats | float) -> Floats:
    """Return the Källén function a^2 + b^2 + c^2 - 2ab - 2bc - 2ca."""
    return np.asarray((a - b - c) ** 2 - 4 * np.multiply(b, c))


def directions(cos_theta: Floats, phi: Floats) -> Floats:
    """Return unit vectors, shape (3, n), at polar angle theta and azimuth phi."""
    sin_theta = np.sqrt(np.maximum(0.0, 1 - cos_theta**2))
    return np.stack([sin_theta * np.cos(phi), sin_theta * np.sin(phi), cos_theta])


def isotropic(rng: np.random.Generator, count: int) -> Floats:
    """Draw unit vectors, shape (3, count), uniform over the sphere."""
    return directions(rng.uniform(-1, 1, count), rng.uniform(-np.pi, np.pi, count))


def boost(vectors: Floats, frame: Floats) -> Floats:
    """Carry `vectors`, given in the rest frame of `frame`, to where `frame` has its momentum."""
    mass = np.sqrt(np.maximum(frame[0] ** 2 - (frame[1:] ** 2).sum(axis=0), 1e-12))
    along = (vectors[1:] * frame[1:]).sum(axis=0)
    energy = (frame[0] * vectors[0] + along) / mass
    shift = (along / (frame[0] + mass) + vectors[0]) / mass
    return np.concatenate([energy[np.newaxis], vectors[1:] + shift * frame[1:]])


def two_body(
    mass: Floats, mass_1: Floats | float, mass_2: Floats | float, direction: Floats
) -> tuple[Floats, Floats]:
    """Decay at rest into two bodies, the first along `direction`; return both four-vectors."""
    momentum = np.sqrt(np.maximum(0.0, kallen(mass**2, mass_1**2, mass_2**2))) / (2 * mass)
    vector = momentum * direction
    energy_1 = np.sqrt(momentum**2 + np.square(mass_1))
    energy_2 = np.sqrt(momentum**2 + np.square(mass_2))
    return (
        np.concatenate([energy_1[np.newaxis], vector]),
        np.concatenate([energy_2[np.newaxis], -vector]),
    )


def produced(mass: Floats, pt: Floats, rapidity: Floats, phi: Floats) -> Floats:
    """Return the four-vector of a system from its mass, pT, rapidity and azimuth."""
    transverse = np.hypot(mass, pt)
    return np.stack(
        [
            transverse * np.cosh(rapidity),
            pt * np.cos(phi),
            pt * np.sin(phi),
            transverse * np.sinh(rapidity),
        ]
    )


def pair_mass_squared(one: Floats, other: Floats) -> Floats:
    """Return (p1 + p2)^2."""
    total = one + other
    return np.asarray(total[0] ** 2 - (total[1:] ** 2).sum(axis=0))


def pt_eta_phi(vectors: Floats) -> tuple[Floats, Floats, Floats]:
    """Return pT, pseudorapidity and azimuth."""
    pt = np.hypot(vectors[1], vectors[2])
    eta = np.arcsinh(vectors[3] / np.maximum(pt, 1e-9))
    return pt, eta, np.arctan2(vectors[2], vectors[1])
