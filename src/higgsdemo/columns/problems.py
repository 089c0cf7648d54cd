"""The ways in which a file can be at fault, each said in full."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from higgsdemo.errors import InputError, nearest

COPY_AGAIN = "copy the file again and compare size and checksum with the original"
NOT_NANOAOD = "the file does not look like (reduced) NanoAOD: this workflow cannot read it"


class Unfamiliar(Exception):  # noqa: N818 - not an error: plain uproot reads these layouts
    """A layout that the fast reader does not know, which says nothing against the file."""


def damaged(
    url: str, why: str, *, branch: str | None = None, entry: int | None = None
) -> InputError:
    """Return the error for bytes that cannot be what was written."""
    return InputError(
        "the file is damaged", why=why, where=_place(url, branch, entry), hint=COPY_AGAIN
    )


def unreadable(
    url: str, why: str, *, branch: str | None = None, entry: int | None = None
) -> InputError:
    """Return the error for what uproot cannot read: damaged, or of a kind it does not know."""
    return InputError(
        "uproot cannot read the file",
        why=why,
        where=_place(url, branch, entry),
        hint=f"if ROOT cannot read it either, {COPY_AGAIN}",
    )


def truncated(url: str, why: str, *, branch: str | None = None) -> InputError:
    """Return the error for a file that ends too early."""
    return InputError("the file is truncated", why=why, where=_place(url, branch), hint=COPY_AGAIN)


def not_root(url: str, why: str) -> InputError:
    """Return the error for a file of another format."""
    return InputError("not a ROOT file", why=why, where=url, hint="name a ROOT file with events")


def no_tree(url: str, tree: str, trees: Iterable[str]) -> InputError:
    """Return the error for a file without the tree, which names those it has."""
    present = sorted(set(trees))
    return InputError(
        f"no tree named {tree!r} in the file",
        why=f"trees in it: {', '.join(present[:20])}" if present else "there is no tree in it",
        where=url,
        nearest=nearest(tree, present),
        hint=NOT_NANOAOD,
    )


def not_tree(url: str, tree: str, kind: str) -> InputError:
    """Return the error for an object of that name which holds no events."""
    return InputError(
        f"{tree!r} in the file is not a tree",
        why=f"it is a {kind}; a TTree or RNTuple is needed",
        where=url,
        hint=NOT_NANOAOD,
    )


def no_branches(url: str, missing: Sequence[str], present: Iterable[str]) -> InputError:
    """Return the error that lists all missing branches at once."""
    known = list(present)
    near = dict.fromkeys(name for word in missing for name in nearest(word, known, count=2))
    plural = "es" if len(missing) > 1 else ""
    return InputError(
        f"missing branch{plural}: {', '.join(missing)}",
        why=f"the tree has {len(known)} branches, {'these' if plural else 'this one'} not",
        where=url,
        nearest=list(near)[:8],
        hint=NOT_NANOAOD,
    )


def wrong_kind(url: str, branch: str, found: str, needed: str) -> InputError:
    """Return the error for a branch whose content has another shape than asked for."""
    return InputError(f"branch {branch} holds {found}, not {needed}", where=url, hint=NOT_NANOAOD)


def disagrees(
    url: str, branch: str, counter: str, start: int, stop: int, values: int, counted: int
) -> InputError:
    """Return the error for a counter that does not fit its content in entries [start, stop)."""
    span = f"entry {start}" if stop == start + 1 else f"entries {start} to {stop - 1}"
    return InputError(
        f"counter {counter} disagrees with the content of {branch}",
        why=f"{counter} counts {counted} in {span}, {branch} has {values} values there",
        where=_place(url, branch, start),
        hint=COPY_AGAIN,
    )


def disagrees_at(url: str, branch: str, counter: str, entry: int) -> InputError:
    """Return the error for lists that do not start where the counter says, from `entry` on."""
    return InputError(
        f"counter {counter} disagrees with the content of {branch}",
        why=f"the length of the list differs from {counter}",
        where=_place(url, branch, entry),
        hint=COPY_AGAIN,
    )


def negative(url: str, counter: str, entry: int, count: int) -> InputError:
    """Return the error for a list of negative length."""
    return InputError(
        f"counter {counter} is negative",
        why=f"it is {count}",
        where=_place(url, counter, entry),
        hint=COPY_AGAIN,
    )


def _place(url: str, branch: str | None = None, entry: int | None = None) -> str:
    place = url
    if branch is not None:
        place += f", branch {branch}"
    if entry is not None:
        place += f", entry {entry}"
    return place
