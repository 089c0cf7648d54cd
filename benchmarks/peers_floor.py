"""The floor (e): only inflate the baskets of the needed branches; no array is made of them.

`peers_floor.py LIBRARY TINY [FILE]`; LIBRARY is `zlib` (Python's, the floor of the goals) or
`isal`. The compressed blocks are in memory before the clock starts, so not even reading counts.
"""

from __future__ import annotations

import importlib
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uproot
from measuring import Counts, measure

FIELDS = ("pt", "eta", "phi", "mass", "charge", "dxy", "dxyErr", "dz", "dzErr")
BRANCHES = (
    "nMuon",
    "nElectron",
    "Muon_pfRelIso04_all",
    "Electron_pfRelIso03_all",
    *(f"Muon_{field}" for field in FIELDS),
    *(f"Electron_{field}" for field in FIELDS),
)
BLOCK_HEADER = 9  # "ZL", method, compressed and uncompressed size (3 bytes each, little-endian)

Blocks = list[tuple[bytes, int]]


def baskets(path: str) -> Iterator[tuple[int, int]]:
    """Offset and length of every basket of the needed branches that is in the file."""
    with uproot.open({path: "Events"}) as tree:
        for name in BRANCHES:
            branch = tree[name]
            stored = branch.num_baskets - len(branch.embedded_baskets)
            seeks, sizes = branch.member("fBasketSeek"), branch.member("fBasketBytes")
            yield from zip(seeks[:stored].tolist(), sizes[:stored].tolist(), strict=True)


def compressed_blocks(path: str) -> tuple[int, Blocks]:
    """The number of events, and every compressed block with its size when inflated."""
    with uproot.open({path: "Events"}) as tree:
        events = int(tree.num_entries)
    blocks: Blocks = []
    with Path(path).open("rb") as file:
        for seek, size in baskets(path):
            file.seek(seek)
            basket = file.read(size)
            _, _, inflated, _, key = struct.unpack(">ihiIh", basket[:16])
            if inflated == size - key:
                continue  # stored as it is
            at = key
            while at < size:
                if basket[at : at + 2] != b"ZL":
                    raise RuntimeError(f"{path}: a basket is not compressed with zlib")
                packed = int.from_bytes(basket[at + 3 : at + 6], "little")
                unpacked = int.from_bytes(basket[at + 6 : at + 9], "little")
                at += BLOCK_HEADER
                blocks.append((basket[at : at + packed], unpacked))
                at += packed
    return events, blocks


def inflater(library: str) -> Any:
    zlib = importlib.import_module("zlib" if library == "zlib" else "isal.isal_zlib")

    def inflate(prepared: tuple[int, Blocks]) -> Counts:
        events, blocks = prepared
        for block, size in blocks:
            zlib.decompress(block, 15, size)
        return {"events": events, "channels": {}}

    return inflate


if __name__ == "__main__":
    measure(
        inflater(sys.argv[1]),
        sys.argv[2],
        sys.argv[3] if len(sys.argv) > 3 else None,
        prepare=compressed_blocks,
    )
