"""A certificate authority of our own, and a certificate for the loopback address."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from tests.services.programs import UnavailableError


@dataclass(frozen=True)
class Certificates:
    """Files (PEM) of an authority that no system trusts, and of a server it vouches for."""

    authority: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return a client's context that trusts this authority, and no other."""
        return ssl.create_default_context(cafile=self.authority)


def make_certificates(folder: Path) -> Certificates:
    """Make an authority and a certificate for 127.0.0.1 and localhost in a folder."""
    try:
        import trustme
    except ImportError as error:
        raise UnavailableError("TLS needs trustme, of the dependency group `test`") from error
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(made.authority)
    server.private_key_pem.write_to_path(made.key)
    made.certificate.write_bytes(b"".join(part.bytes() for part in server.cert_chain_pems))
    return made
