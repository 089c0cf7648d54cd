"""What tests of whole runs share: storage that pods reach, and our commands as processes."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kubernetes.client import Client
from tests.services.process import LOOPBACK
from tests.services.redis import RedisServer
from tests.services.s3 import S3Server
from tests.services.tcp_faults import Relay, tcp_faults


@dataclass(frozen=True)
class Stores:
    """An S3 server and a Redis as pods see them; and as we do, who are on the same machine."""

    s3: S3Server
    redis: RedisServer
    s3_door: Relay
    redis_door: Relay

    @property
    def endpoint(self) -> str:
        """The S3 server's address."""
        return f"http://{self.s3_door.host}:{self.s3_door.port}"

    @property
    def bus(self) -> str:
        """Redis as a sink; who we are to it is in the environment."""
        return f"redis://{self.redis_door.host}:{self.redis_door.port}/0"

    @property
    def environment(self) -> dict[str, str]:
        """What our commands need of it."""
        return {
            "AWS_ACCESS_KEY_ID": self.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3.secret_key,
            "AWS_REGION": self.s3.region,
            "HIGGSDEMO_STORAGE_HOST": self.endpoint,
            "REDIS_USERNAME": "worker",
            "REDIS_PASSWORD": self.redis.passwords["worker"],
        }


@contextmanager
def stores(s3: S3Server, redis: RedisServer, host: str = LOOPBACK) -> Iterator[Stores]:
    """Open a door to both at an address of this machine."""
    with ExitStack() as stack:
        doors = [stack.enter_context(tcp_faults(port, host=host)) for port in (s3.port, redis.port)]
        yield Stores(s3, redis, *doors)


@dataclass
class Said:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


class Commands:
    """Our own commands, as processes that can be killed, in a folder of their own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = {**os.environ, "COLUMNS": "160", **environment}

    def with_environment(self, **variables: str) -> "Commands":
        """Return the same with other variables."""
        return Commands(self.folder, {**self._environment, **variables})

    def start(self, *words: object) -> "subprocess.Popen[str]":
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "higgsdemo", *map(str, words)],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: object, seconds: float = 180) -> Said:
        """Run a command to its end."""
        with self.start(*words) as process:
            try:
                out, err = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                raise AssertionError(f"{words}: not within {seconds:g} s\n{out}\n{err}") from None
        return Said(process.returncode, out, err)

    def in_terminal(self, *words: object, seconds: float = 180) -> Said:
        """Run a command as somebody at a terminal does; `out` has all that was ever on it."""
        line = shlex.join([sys.executable, "-m", "higgsdemo", *map(str, words)])
        done = subprocess.run(
            ["script", "--quiet", "--return", "--command", line, "/dev/null"],
            cwd=self.folder,
            env={**self._environment, "TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def good(self, *words: object, seconds: float = 180) -> Said:
        """Run a command that must end well."""
        said = self(*words, seconds=seconds)
        assert said.status == 0, f"{words}\n{said.out}\n{said.err}"
        return said


def objects(client: Client) -> list[tuple[str, str]]:
    """Return all objects of a cluster, of every kind: the kind, and name with labels as text.

    Not events, which are the cluster's log of the last hour.
    """
    groups = [("/api/v1", client.get("/api/v1"))]
    for group in client.get("/apis")["groups"]:
        path = f"/apis/{group['preferredVersion']['groupVersion']}"
        groups.append((path, client.get(path)))
    found = []
    for path, group in groups:
        for kind in group["resources"]:
            if "list" in kind["verbs"] and kind["kind"] != "Event":
                for one in client.items(f"{path}/{kind['name']}"):
                    told = (one["metadata"]["name"], one["metadata"].get("labels"))
                    found.append((kind["kind"], repr(told)))
    return found
