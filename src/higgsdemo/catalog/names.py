"""From what a user writes to a file with a logical name: the same wherever the bytes lie."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from higgsdemo.errors import UsageError
from higgsdemo.model.sample import InputFile

# Where the names of CERN Open Data and of CMS begin, whatever server or bucket comes before.
ROOTS = ("/eos/opendata/", "/store/")
_DATA = re.compile(r"/(Run20\d\d[^/]*)/([^/]+)/(AOD)/([^/]+)/")
_SIMULATION = re.compile(r"/MonteCarlo20\d\d/([^/]+)/([^/]+)/(AODSIM)/([^/]+)/")

BUCKET_SPELLINGS = ("s3/", "gs/")


def is_url(text: str) -> bool:
    """Whether `text` names a file on a server (``file://`` is a local path)."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme.isalnum() and scheme != "file"


def bucket_url(text: str, folder: Path | str) -> str:
    """Return ``s3://BUCKET/path`` for ``s3/BUCKET/path``, the 2019 demo's spelling; ``gs`` alike.

    Not where a folder of that name lies in `folder`: then it is a path. Other texts stay.
    """
    spelt = text.startswith(BUCKET_SPELLINGS) and "/" in text[3:]
    if not spelt or Path(folder, text[:2]).is_dir():
        return text
    return f"{text[:2]}://{text[3:]}"


def local_path(text: str, folder: Path | str) -> str:
    """Return the absolute path that `text`, written in `folder`, means; ``~`` is expanded."""
    text = text.removeprefix("file://")
    if text.startswith("~"):
        text = os.path.expanduser(text)  # noqa: PTH111 (Path is slow, and indexes are long)
    return os.path.normpath(os.path.join(os.path.abspath(folder), text))  # noqa: PTH100, PTH118


def logical_name(url: str, base: str) -> str:
    """Return the logical name of a file.

    `url` is a URL or an absolute path, `base` the absolute path of the sample set's folder. In
    this order: from ``/eos/opendata/`` or ``/store/`` on; the path below the folder; the path
    without server or bucket.
    """
    return _logical(url, base, remote=is_url(url))


def _logical(url: str, base: str, *, remote: bool) -> str:
    if remote and "?" in url:
        url = url.partition("?")[0]
    prefix = base.rstrip("/") + "/"
    below = not remote and url.startswith(prefix)
    path = url[len(prefix) - 1 :] if below else url
    for root in ROOTS:
        at = path.find(root)
        if at >= 0:
            return _single_slashes(path[at:])
    if remote:
        return _single_slashes("/" + path.partition("://")[2].partition("/")[2])
    return path[1:] if below else path


def _single_slashes(path: str) -> str:
    return re.sub("/+", "/", path) if "//" in path else path


def input_file(
    text: str,
    folder: Path | str,
    base: str,
    size_bytes: int | None = None,
    luminosity_pb: float | None = None,
) -> InputFile:
    """Return the file that `text`, written in `folder`, means in the sample set of `base`.

    `base` is an absolute path. A local file that exists has the size it has, whatever was
    declared.
    """
    if is_url(text):
        return InputFile(_logical(text, base, remote=True), text, size_bytes, luminosity_pb)
    path = local_path(text, folder)
    # A missing file is not an error yet: `samples check` and the run say so.
    with contextlib.suppress(OSError, ValueError):
        size_bytes = os.stat(path).st_size  # noqa: PTH116
    return InputFile(_logical(path, base, remote=False), path, size_bytes, luminosity_pb)


def dataset_of(name: str) -> str | None:
    """Return the CMS dataset that a logical name on CERN Open Data belongs to, where it says.

    ``/eos/opendata/cms/Run2012C/DoubleMuParked/AOD/22Jan2013-v1/...`` is a file of
    ``/DoubleMuParked/Run2012C-22Jan2013-v1/AOD``.
    """
    if found := _DATA.search(name):
        era, primary, tier, version = found.groups()
        return f"/{primary}/{era}-{version}/{tier}"
    if found := _SIMULATION.search(name):
        campaign, primary, tier, version = found.groups()
        return f"/{primary}/{campaign}-{version}/{tier}"
    return None


def unique(files: Iterable[tuple[InputFile, str]], sample: str) -> dict[str, InputFile]:
    """Return the files of a sample, each given with the place that lists it, by logical name.

    Raises UsageError where two have the same logical name: one file would count twice.
    """
    places: dict[str, str] = {}
    kept: dict[str, InputFile] = {}
    for file, place in files:
        if file.name in kept:
            raise UsageError(
                f"sample {sample!r} has the file {file.name} twice",
                where=f"{places[file.name]} and {place}",
                hint="take one of the two away; its events would count twice",
            )
        places[file.name] = place
        kept[file.name] = file
    return kept
