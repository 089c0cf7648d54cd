"""Random sequences: one per block of a file, so the order of making things changes nothing."""

from __future__ import annotations

import zlib

import numpy as np

# Events of a block: the unit of the random sequences, and the cluster of the ROOT files.
BLOCK = 100_000


def sequence(seed: int, name: str, block: int) -> np.random.Generator:
    """Return the random sequence of a block of a file (or of a chunk of an era's physics).

    Numpy's Philox, seeded by a `SeedSequence` with the CRC of the name and the block as spawn
    key. The stream of numbers is fixed by numpy's version policy (NEP 19) only for the bit
    generator; a new numpy may change the distributions' algorithms and with them the content.
    """
    key = (zlib.crc32(name.encode()), block)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))
