"""URLs into bytes: random access to one file, wherever it lies.

`open_source` is the door. What it connects to, and as whom, is in the environment (`Access`).
"""

from higgsdemo.storage.access import Access
from higgsdemo.storage.door import SCHEMES, check_scheme, open_source
from higgsdemo.storage.local import LocalSource
from higgsdemo.storage.ranges import coalesce
from higgsdemo.storage.source import Closing, HasPath, Range, ReadsAhead, Source
from higgsdemo.storage.urls import has_secret, redact

__all__ = [
    "SCHEMES",
    "Access",
    "Closing",
    "HasPath",
    "LocalSource",
    "Range",
    "ReadsAhead",
    "Source",
    "check_scheme",
    "coalesce",
    "has_secret",
    "open_source",
    "redact",
]
