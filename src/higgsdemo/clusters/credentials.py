"""Credentials for workers: from the environment into files of a secret, never printed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from higgsdemo.errors import UsageError

# Files of the secret, as `storage.Access.secret` and the sinks read them, and the standard
# variables each is taken from. Of a pair, both come from the same kind of store.
_PAIRS = (
    (("HIGGSDEMO_ACCESS_KEY", "access-key"), ("HIGGSDEMO_SECRET_KEY", "secret-key")),
    (
        ("AWS_ACCESS_KEY_ID", "access-key"),
        ("AWS_SECRET_ACCESS_KEY", "secret-key"),
        ("AWS_SESSION_TOKEN", "session-token"),
    ),
    (("GS_ACCESS_KEY_ID", "access-key"), ("GS_SECRET_ACCESS_KEY", "secret-key")),
)
_SINGLE = (
    ("BEARER_TOKEN", "bearer-token"),
    ("REDIS_USERNAME", "redis-username"),
    ("REDIS_PASSWORD", "redis-password"),
)
_CERTIFICATES = ("HIGGSDEMO_STORAGE_CA", "ca")


def from_environment(
    environment: Mapping[str, str], given: tuple[str, str] | None = None
) -> dict[str, bytes]:
    """Return the files of the secret by name.

    `given` are an access key and a secret key from the command line, which come first. Raises
    UsageError where a key is without its other half, or certificates cannot be read.
    """
    found: dict[str, bytes] = {}
    if given:
        found = {"access-key": given[0].encode(), "secret-key": given[1].encode()}
    for pair in () if found else _PAIRS:
        values = {key: environment[name] for name, key in pair if environment.get(name)}
        halves = {"access-key", "secret-key"} & set(values)
        if len(halves) == 1:
            raise UsageError(
                f"{pair[0][0]} and {pair[1][0]} belong together",
                why="one of them is set in the environment, the other is not",
            )
        if halves:
            found = {key: value.strip().encode() for key, value in values.items()}
            break
    found |= {key: environment[name].strip().encode() for name, key in _SINGLE
              if environment.get(name)}  # fmt: skip
    variable, key = _CERTIFICATES
    if path := environment.get(variable):
        try:
            found[key] = Path(path).read_bytes()
        except OSError as error:
            raise UsageError(
                f"cannot read the certificates that {variable} names",
                why=error.strerror or str(error),
                where=path,
            ) from error
    return found
