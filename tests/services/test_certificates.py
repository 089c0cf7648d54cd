"""A certificate that is good for the loopback address, and only with its own authority."""

import socket
import ssl
import threading
from pathlib import Path

import pytest

from tests.services.certificates import Certificates, make_certificates


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    pytest.importorskip("trustme")
    make_certificates(tmp_path)  # again in the same folder: the second one counts
    return make_certificates(tmp_path)


def shake_hands(made: Certificates, client: ssl.SSLContext) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    near, far = socket.socketpair()

    def serve() -> None:
        try:
            context.wrap_socket(far, server_side=True).close()
        except OSError:  # the client went away
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with near, client.wrap_socket(near, server_hostname="127.0.0.1"):
            pass
    finally:
        thread.join()


def test_it_is_trusted_with_its_authority(made: Certificates) -> None:
    shake_hands(made, made.context())


def test_it_is_not_trusted_otherwise(made: Certificates) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(made, ssl.create_default_context())
