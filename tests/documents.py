"""Documents that are not as they should be."""

import copy
from typing import Any


def put(document: Any, path: tuple[str | int, ...], value: Any) -> Any:
    """Return a document with another value at a place; Ellipsis takes the place away."""
    changed = copy.deepcopy(document)
    where = changed
    for key in path[:-1]:
        where = where[key]
    if value is ...:
        del where[path[-1]]
    else:
        where[path[-1]] = value
    return changed
