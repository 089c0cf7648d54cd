"""Redis as a sink: a bus, not the record. `redis://HOST:PORT/DB`, `rediss://` with TLS.

Per run, all in one slot of a cluster:

    higgsdemo:{RUN}:results   stream, one entry a document, in order of arrival
    higgsdemo:{RUN}:names     hash, name of a document -> its entry
    higgsdemo:{RUN}:epoch     a random word; another one means that Redis came back without what
                              it had
    higgsdemo:{RUN}:plan      what the run is to do, for who follows it from elsewhere
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from higgsdemo.errors import (
    CredentialsError,
    HiggsdemoError,
    RunError,
    TransientError,
    UsageError,
)
from higgsdemo.model import Failure, Result
from higgsdemo.sinks.parcel import check_run_id, is_result_of, is_run_id, pack
from higgsdemo.sinks.protocol import Arrival, Known, Page
from higgsdemo.sinks.retry import Patience, persist
from higgsdemo.storage import Closing
from higgsdemo.storage.access import Access
from higgsdemo.storage.extras import optional
from higgsdemo.storage.patience import upload_rate

PAGE = 200  # entries a request
SCANNED = 5000  # names a request looks through

# One write in one step. Not two: Redis logs two as a transaction, and Redis 7.0 drops all
# transactions when it reads its log after a restart if its `default` user has no rights, as in
# any careful ACL ("NOPERM ACLs rules changed between ..."; seen with 7.0.15). So the name is noted
# in a second step; of two deliveries in one instant both may be in, and the collector takes one.
# An entry that was trimmed or evicted is written again.
_ADD = """
local entry = redis.call('HGET', KEYS[2], ARGV[1])
if entry and #redis.call('XRANGE', KEYS[1], entry, entry) > 0 then return entry end
return redis.call('XADD', KEYS[1], '*', 'name', ARGV[1], 'parcel', ARGV[2])
"""


@dataclass(frozen=True)
class Address:
    """Where a Redis is, and who we are there. Its repr has no secret."""

    host: str
    port: int
    database: int
    tls: bool
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """The URL without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis{'s' if self.tls else ''}://{host}:{self.port}/{self.database}"

    @classmethod
    def of(cls, url: str, access: Access) -> Address:
        """Read a URL; user and password from it, from a mounted secret or the environment.

        Raises UsageError, which never repeats the URL: there may be a password in it.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or 6379
            database = int(parts.path.strip("/") or 0)
        except ValueError:
            raise UsageError("the address of the Redis makes no sense", hint=_FORM) from None
        if not parts.hostname or parts.query or parts.fragment:
            raise UsageError("the address of the Redis makes no sense", hint=_FORM)
        username = unquote(parts.username or "") or _setting(access, "username")
        password = unquote(parts.password or "") or _setting(access, "password")
        tls = parts.scheme.lower() == "rediss"
        return cls(parts.hostname, port, database, tls, username, password)


_FORM = (
    "write redis://HOST:PORT/DB, or rediss:// with TLS; name and password are best given as "
    "REDIS_USERNAME and REDIS_PASSWORD in the environment"
)


def _setting(access: Access, name: str) -> str | None:
    mounted = access.secret(f"redis-{name}")
    variable = f"REDIS_{name.upper()}"
    file = os.environ.get(f"{variable}_FILE")
    if mounted or not file:
        return mounted or os.environ.get(variable) or None
    try:
        return Path(file).read_text().strip() or None
    except OSError as error:
        raise UsageError(
            f"cannot read the file that {variable}_FILE names",
            why=error.strerror or str(error),
            where=file,
        ) from None


class StreamSink(Closing):
    """A stream of a Redis (or Valkey)."""

    poll_s = 0.2
    is_record = False

    def __init__(self, url: str, access: Access, patience: Patience) -> None:
        address = Address.of(url, access)
        self.url = address.shown
        self._patience = patience
        self._uploads = upload_rate(access)
        self._errors: Any = optional("redis.exceptions", "redis", self.url)
        redis: Any = optional("redis", "redis", self.url)
        retry: Any = optional("redis.retry", "redis", self.url)
        backoff: Any = optional("redis.backoff", "redis", self.url)
        trust = {"ssl_ca_certs": access.authority} if address.tls and access.authority else {}
        self._redis = redis.Redis(
            host=address.host,
            port=address.port,
            db=address.database,
            username=address.username,
            password=address.password,
            ssl=address.tls,
            socket_connect_timeout=access.connect_s,
            socket_timeout=access.connect_s,  # a reply is small: this is long
            retry=retry.Retry(backoff.NoBackoff(), 0),  # `persist` does
            protocol=2,  # the same replies from every server and of every release of redis-py
            **trust,
        )

    def deliver(self, outcome: Result | Failure, run_id: str) -> None:
        """Add the outcome to the stream, see `Sink.deliver`."""
        name, payload = pack(outcome, run_id)
        if self._uploads:
            self._uploads.take(len(payload))
        stream, names, epoch = _keys(run_id)

        def add() -> None:
            with self._redis.pipeline(transaction=False) as asked:
                asked.set(epoch, secrets.token_hex(8), nx=True)
                asked.eval(_ADD, 2, stream, names, name, payload)
                entry = asked.execute()[1]
            self._redis.hset(names, name, entry)

        persist(add, self._explain, self._patience)

    def has_result(self, run_id: str, task_id: str) -> bool:
        """Whether there is a result of the task, see `Sink.has_result`."""
        _, names, _ = _keys(check_run_id(run_id))

        def look() -> bool:
            found = self._redis.hscan_iter(names, match=f"{task_id}.*", count=SCANNED)
            return any(is_result_of(name.decode(errors="replace"), task_id) for name, _ in found)

        return persist(look, self._explain, self._patience)

    def pages(self, run_id: str, after: str = "", known: Known = lambda _: False) -> Iterator[Page]:
        """Yield what came after the cursor, see `Sink.pages`. The cursor is `EPOCH/ENTRY`."""
        stream, _, epoch_key = _keys(check_run_id(run_id))
        while True:
            after_epoch, _, last = after.partition("/")
            epoch, newest, entries = persist(
                lambda last=last: self._read(stream, epoch_key, last),  # type: ignore[misc]
                self._explain,
                self._patience,
            )
            if after and (epoch != after_epoch or _number(newest) < _number(last)):
                after = ""  # from the start: what is there now is not what we had read
                yield Page((), "", emptied=True)
                continue
            if not entries:
                return
            after = f"{epoch}/{entries[-1][0].decode()}"
            yield Page(tuple(_arrivals(entries, known)), after)

    def publish(self, run_id: str, plan: bytes) -> bytes:
        """Put the plan of a run beside its results, see `Sink.publish`."""
        key = _plan_key(check_run_id(run_id))

        def put() -> bytes:
            return plan if self._redis.set(key, plan, nx=True) else self._redis.get(key) or plan

        return persist(put, self._explain, self._patience)

    def plan(self, run_id: str) -> bytes | None:
        """Return the plan of a run, see `Sink.plan`."""
        key = _plan_key(check_run_id(run_id))
        kept: bytes | None = persist(lambda: self._redis.get(key), self._explain, self._patience)
        return kept

    def runs(self) -> list[str]:
        """Return the runs that have a plan here, see `Sink.runs`."""

        def look() -> list[str]:
            found = self._redis.scan_iter(match=_plan_key("*"), count=SCANNED)
            return [key.decode(errors="replace").split("{")[-1].split("}")[0] for key in found]

        return sorted(filter(is_run_id, persist(look, self._explain, self._patience)))

    def trim(self, run_id: str, cursor: str) -> None:
        """Drop entries up to the cursor; their names stay, so the hash is what remains."""
        stream, _, epoch_key = _keys(run_id)
        epoch, _, last = cursor.partition("/")
        if not last:
            return

        def drop() -> None:
            if self._redis.get(epoch_key) == epoch.encode():
                time_ms, number = _number(last)
                self._redis.xtrim(stream, minid=f"{time_ms}-{number + 1}", approximate=False)

        persist(drop, self._explain, self._patience)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    # -- inside ---------------------------------------------------------------------------------

    def _read(
        self, stream: str, epoch_key: str, last: str
    ) -> tuple[str, str, list[tuple[bytes, dict[bytes, bytes]]]]:
        """Return the epoch, the newest id ever given, and the next entries: of one instant."""
        with self._redis.pipeline(transaction=True) as asked:
            asked.get(epoch_key)
            asked.xinfo_stream(stream)
            asked.xrange(stream, min=f"({last}" if last else "-", count=PAGE)
            epoch, about, entries = asked.execute(raise_on_error=False)
        for answer in (epoch, about, entries):
            missing = answer is about and "no such key" in str(about)
            if isinstance(answer, Exception) and not missing:
                raise answer
        if isinstance(about, Exception):
            return "", "", []
        newest = about["last-generated-id"]
        return (epoch or b"").decode(), newest.decode(), entries

    def _explain(self, error: Exception) -> HiggsdemoError | None:
        kinds = self._errors
        if not isinstance(error, kinds.RedisError | OSError):
            return None
        # In a pipeline redis-py repeats the command, with all of the parcel.
        why = str(error).rpartition(" caused error: ")[2] or type(error).__name__
        if isinstance(error, kinds.AuthenticationError | kinds.NoPermissionError) or why.startswith(
            ("NOAUTH", "WRONGPASS", "NOPERM")
        ):
            return CredentialsError(
                "the Redis does not let us in",
                why=why,
                where=self.url,
                hint="see REDIS_USERNAME and REDIS_PASSWORD in the environment, and the user's "
                "rights (ACL): stream, hash and scripting commands on higgsdemo:*",
            )
        if "certificate verify failed" in why:
            return CredentialsError(
                "the Redis cannot prove who it is",
                why=why,
                where=self.url,
                hint="name the file of its authority with --storage-ca (HIGGSDEMO_STORAGE_CA)",
            )
        if "WRONG_VERSION_NUMBER" in why.upper() or "RECORD LAYER FAILURE" in why.upper():
            return CredentialsError(
                "the Redis does not speak TLS, which rediss:// asks for", why=why, where=self.url
            )
        passing = (kinds.ConnectionError, kinds.TimeoutError, OSError)
        if isinstance(error, passing) or why.startswith(_BUSY):
            return TransientError(
                "the Redis cannot be used now",
                why=why,
                where=self.url,
                hint="is it up, and does it speak TLS (rediss://) or not (redis://)?",
            )
        return RunError("the Redis refuses", why=why, where=self.url)


# How Redis begins to say that it may do it later.
_BUSY = (
    *("LOADING", "BUSY", "OOM", "READONLY", "MISCONF", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"),
    *("NOREPLICAS", "max number of clients", "command not allowed when used memory"),
)


def _keys(run_id: str) -> list[str]:
    return [f"higgsdemo:{{{run_id}}}:{what}" for what in ("results", "names", "epoch")]


def _plan_key(run_id: str) -> str:
    return f"higgsdemo:{{{run_id}}}:plan"


def _number(entry: str) -> tuple[int, int]:
    """Return an entry's id as numbers: they, not the texts, are in order."""
    time_ms, _, number = entry.partition("-")
    return int(time_ms or 0), int(number or 0)


def _arrivals(entries: list[tuple[bytes, dict[bytes, bytes]]], known: Known) -> Iterator[Arrival]:
    for entry, fields in entries:
        name = fields.get(b"name", b"").decode(errors="replace")
        if b"parcel" not in fields or not name:
            yield Arrival(name or f"entry {entry.decode()}", None, "it is not a parcel")
        elif not known(name):
            yield Arrival(name, fields[b"parcel"])
