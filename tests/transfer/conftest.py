"""A sample set served by real stores, and settings that do not wait long."""

from tests.services.fixtures import (
    fault_server_of_session,
    faults,
    gcs,
    http_files,
    pytest_runtest_makereport,
    s3,
    xrootd,
)
from tests.storage.conftest import _nobody, access

__all__ = [
    "_nobody",
    "access",
    "fault_server_of_session",
    "faults",
    "gcs",
    "http_files",
    "pytest_runtest_makereport",
    "s3",
    "xrootd",
]
