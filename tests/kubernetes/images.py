"""Small container images, made without any tool: OCI archives of a few files."""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.kubernetes.binaries import installed

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
NAME = "io.containerd.image.name"


Content = bytes | Path | str  # of a file: itself, a file of this machine, where a link leads
APPLETS = "cat date dd echo env false head id kill ls mkdir nc sh sleep stat tail touch true wget"


def _tar(files: Mapping[str, Content]) -> bytes:
    """Return a tar of files and their folders."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
        for folder in sorted(folders):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, content in files.items():
            if isinstance(content, str):
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
                continue
            body = content.read_bytes() if isinstance(content, Path) else content
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(body), 0o755
            tar.addfile(entry, io.BytesIO(body))
    return made.getvalue()


def image(
    archive: Path, name: str, files: Mapping[str, Content], entrypoint: Sequence[str]
) -> Path:
    """Write an OCI archive of one image with one layer; return its path."""
    blobs: dict[str, bytes] = {}

    def add(body: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(body).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = body
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(body)}

    layer = add(_tar(files), LAYER)
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint), "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": add(json.dumps(config).encode(), CONFIG),
        "layers": [layer],
    }
    entry = {**add(json.dumps(manifest).encode(), MANIFEST), "annotations": {NAME: name}}
    index = {"schemaVersion": 2, "manifests": [entry]}
    layout = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    archive.write_bytes(_tar({**layout, "index.json": json.dumps(index).encode(), **blobs}))
    return archive


def program_image(archive: Path, name: str, program: Path) -> Path:
    """Write an image of one static program."""
    return image(archive, name, {program.name: program}, [f"/{program.name}"])


def shell_image(archive: Path, name: str) -> Path:
    """Write an image with a shell and the usual small tools: busybox.

    Of another name, it is another image: one that was pulled, a kubelet wants to pull everywhere,
    also under a name by which it was loaded.
    """
    links: dict[str, Content] = {f"bin/{applet}": "busybox" for applet in APPLETS.split()}
    files = {"bin/busybox": installed("busybox"), "etc/image": name.encode(), **links}
    return image(archive, name, files, ["/bin/sh"])


def blobs(archive: Path) -> tuple[dict[str, bytes], bytes]:
    """Return all blobs of an OCI archive by digest, and the manifest of its first image."""
    with tarfile.open(archive) as tar:
        members = {
            one.name: tar.extractfile(one).read()  # type: ignore[union-attr]
            for one in tar.getmembers()
            if one.isfile()
        }
    found = {
        "sha256:" + Path(name).name: body
        for name, body in members.items()
        if name.startswith("blobs/sha256/")
    }
    manifest = json.loads(members["index.json"])["manifests"][0]["digest"]
    return found, found[manifest]
