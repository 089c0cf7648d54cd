"""The CERN Open Data portal: which files a record has, their sizes and checksums.

`fetch_set` gives a sample set the files of its records; `write_set` keeps it as YAML. What the
portal says is cached, and used without it.
"""

from higgsdemo.catalog.portal.cache import RecordCache
from higgsdemo.catalog.portal.client import SERVER, Portal
from higgsdemo.catalog.portal.fetch import fetch_records, fetch_set
from higgsdemo.catalog.portal.record import (
    PortalBusyError,
    PortalError,
    Record,
    RecordFile,
)
from higgsdemo.catalog.portal.write import set_to_yaml, write_set

__all__ = [
    "SERVER",
    "Portal",
    "PortalBusyError",
    "PortalError",
    "Record",
    "RecordCache",
    "RecordFile",
    "fetch_records",
    "fetch_set",
    "set_to_yaml",
    "write_set",
]
