"""A grid of our own: an authority, a host's certificate, a user's X.509 proxies."""

import datetime
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.services.programs import UnavailableError, program

# RFC 3820: the extension of a proxy certificate, whose policy is that it may all its issuer may.
PROXY_INFO = "1.3.6.1.5.5.7.1.14"
INHERITS_ALL = bytes.fromhex("300c300a06082b06010505071501")


@dataclass(frozen=True)
class Grid:
    """Files (PEM) of a grid that nobody else trusts."""

    authorities: Path  # folder of authorities, by hash, as X509_CERT_DIR names it
    certificate: Path
    key: Path
    proxy: Path
    expired_proxy: Path


def make_grid(folder: Path, host: str = "localhost") -> Grid:
    """Make all of it in a folder; the proxy is good for an hour."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
    except ImportError as error:
        raise UnavailableError(
            "a grid needs cryptography, of the dependency group `test`"
        ) from error
    openssl = program("openssl")
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)

    def name(*parts: str) -> x509.Name:
        own = [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "higgsdemo tests")]
        return x509.Name(
            own + [x509.NameAttribute(x509.NameOID.COMMON_NAME, part) for part in parts]
        )

    def issue(subject, issuer, signer, extensions, until=hour):  # type: ignore[no-untyped-def]
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * hour)
            .not_valid_after(now + until)
        )
        for extension, critical in extensions:
            made = made.add_extension(extension, critical)
        return made.sign(signer or key, hashes.SHA256()), key

    def pem(certificate) -> bytes:  # type: ignore[no-untyped-def]
        return bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def private(key) -> bytes:  # type: ignore[no-untyped-def]
        return bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )

    def usage(*, signs: bool):  # type: ignore[no-untyped-def]
        rest = dict.fromkeys(
            ("content_commitment", "data_encipherment", "key_agreement", "crl_sign",
             "encipher_only", "decipher_only"), False)  # fmt: skip
        return x509.KeyUsage(
            digital_signature=True, key_encipherment=not signs, key_cert_sign=signs, **rest
        )

    ca_name, user_name = name("authority"), name("user")
    authority, ca_key = issue(
        ca_name, ca_name, None,
        [(x509.BasicConstraints(ca=True, path_length=None), True), (usage(signs=True), True)],
    )  # fmt: skip
    leaf = [(x509.BasicConstraints(ca=False, path_length=None), True), (usage(signs=False), True)]
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    server, server_key = issue(name(host), ca_name, ca_key, [*leaf, (names, False)])
    user, user_key = issue(user_name, ca_name, ca_key, leaf)
    info = x509.UnrecognizedExtension(x509.ObjectIdentifier(PROXY_INFO), INHERITS_ALL)
    found = Grid(
        folder / "authorities", folder / "host.pem", folder / "host.key",
        folder / "proxy", folder / "expired-proxy",
    )  # fmt: skip
    found.authorities.mkdir(parents=True)
    (found.authorities / "ca.pem").write_bytes(pem(authority))
    for kind in ("-subject_hash", "-subject_hash_old"):
        words = [openssl, "x509", "-noout", kind, "-in", found.authorities / "ca.pem"]
        said = subprocess.run(words, capture_output=True, text=True, check=True)
        (found.authorities / f"{said.stdout.strip()}.0").write_bytes(pem(authority))
    found.certificate.write_bytes(pem(server))
    found.key.write_bytes(private(server_key))
    for path, until in ((found.proxy, hour), (found.expired_proxy, -hour)):
        extensions = [(usage(signs=False), True), (info, True)]
        proxy, proxy_key = issue(name("user", "1234"), user_name, user_key, extensions, until)
        path.write_bytes(pem(proxy) + private(proxy_key) + pem(user))
        path.chmod(0o600)
    found.key.chmod(0o400)
    return found
