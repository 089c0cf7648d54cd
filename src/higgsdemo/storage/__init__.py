"""URLs into bytes: random access to one file, wherever it lies."""

from higgsdemo.storage.door import SCHEMES, open_source
from higgsdemo.storage.local import LocalSource
from higgsdemo.storage.ranges import coalesce
from higgsdemo.storage.source import Range, Source

__all__ = ["SCHEMES", "LocalSource", "Range", "Source", "coalesce", "open_source"]
