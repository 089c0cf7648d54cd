"""Tokens for GKE's API servers, for kubectl and every other client: `python -m ...gke_token`.

The exec plugin that `clusters-create` writes into the kubeconfig. It does what
gke-gcloud-auth-plugin does, without gcloud: a short-lived access token of the application default
credentials (a service account's file, workload identity, the metadata server, or a person's login),
as an ExecCredential on standard output. No token is kept on disk; the client asks again when it
expires.
"""

from __future__ import annotations

import json
import sys
from typing import Any

_SCOPES = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
)


def credential() -> dict[str, Any]:
    """Return a new token as an ExecCredential document."""
    import google.auth
    from google.auth.transport.requests import Request

    credentials, _ = google.auth.default(scopes=_SCOPES)
    credentials.refresh(Request())  # type: ignore[no-untyped-call]
    status: dict[str, Any] = {"token": credentials.token}
    if credentials.expiry is not None:  # naive, in UTC
        status["expirationTimestamp"] = credentials.expiry.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": status,
    }


def main() -> int:
    """Write the document, or one line on standard error that says why there is none."""
    try:
        from google.auth.exceptions import GoogleAuthError
    except ModuleNotFoundError as error:
        sys.stderr.write(f"a package is missing: {error.name}: pip install 'higgsdemo[gke]'\n")
        return 1
    try:
        document = credential()
    except (GoogleAuthError, OSError, ValueError) as error:  # the client shows this line
        why = " ".join(str(error).split())
        sys.stderr.write(f"no token for Google Cloud: {why or type(error).__name__}\n")
        return 1
    sys.stdout.write(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
