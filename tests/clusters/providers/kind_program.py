#!/usr/bin/env python3
"""Plays the program kind: its words, its outputs, its errors. Clusters are files of a folder.

The real kind needs container images that are downloaded: it cannot run where these tests do.
"""

import base64
import json
import os
import sys
from pathlib import Path

HOME = Path(os.environ["KIND_PROGRAM_HOME"])


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1]


def main() -> int:
    with (HOME / "log").open("a") as log:
        log.write(" ".join(sys.argv[1:]) + "\n")
    words = sys.argv[1:3]
    made = sorted(path.stem for path in HOME.glob("*.cluster"))
    if words == ["get", "clusters"]:
        if made:
            sys.stdout.write("\n".join(made) + "\n")
        else:
            sys.stderr.write("No kind clusters found.\n")
        return 0
    path = HOME / f"{option('--name')}.cluster"
    if words == ["create", "cluster"]:
        if path.exists():
            sys.stderr.write(f"ERROR: node(s) already exist for a cluster named {path.stem}\n")
            return 1
        if (HOME / "broken").exists():
            sys.stderr.write("Creating cluster ...\nERROR: failed to create cluster: no Docker\n")
            return 1
        path.write_text(json.dumps(json.load(sys.stdin)))
        return 0
    if words == ["delete", "cluster"]:
        path.unlink(missing_ok=True)
        return 0
    if not path.exists() or not path.read_text():
        sys.stderr.write(f"ERROR: could not locate any control plane nodes for {path.stem}\n")
        return 1
    data = base64.b64encode(b"data").decode()
    sys.stdout.write(
        f"""apiVersion: v1
kind: Config
clusters:
- cluster: {{certificate-authority-data: {data}, server: "https://127.0.0.1:34567"}}
  name: kind-{path.stem}
contexts:
- context: {{cluster: kind-{path.stem}, user: kind-{path.stem}}}
  name: kind-{path.stem}
users:
- name: kind-{path.stem}
  user: {{client-certificate-data: {data}, client-key-data: {data}}}
"""
    )
    return 0


sys.exit(main())
