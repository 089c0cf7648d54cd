"""An issuer of bearer tokens (WLCG profile 1.0) whom one XRootD server believes.

Who asks for the issuer's public keys usually gets them from its web site; the server's library
(scitokens-cpp) keeps them in a cache, and there we put them.
"""

import base64
import json
import os
import shutil
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services.programs import UnavailableError

ISSUER = "https://issuer.invalid/higgsdemo"
AUDIENCE = "https://localhost"
KEY_ID = "one"
DAY_S = 86_400


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Issuer:
    """Issues tokens; `configuration` and `cache` (an XDG_CACHE_HOME) make a server believe them."""

    configuration: Path
    cache: Path
    key: Any

    def token(self, seconds: float = 3600) -> str:
        """Return a token to read everything, good for so long from now."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        now = time.time()
        begun = int(now + min(seconds, 0)) - 60
        head = {"typ": "JWT", "alg": "ES256", "kid": KEY_ID}
        said = {
            "iss": ISSUER, "sub": "somebody", "aud": AUDIENCE, "wlcg.ver": "1.0",
            "scope": "storage.read:/", "iat": begun, "nbf": begun, "exp": int(now + seconds),
        }  # fmt: skip
        body = ".".join(_text(json.dumps(part).encode()) for part in (head, said))
        signature = self.key.sign(body.encode(), ec.ECDSA(hashes.SHA256()))
        both = b"".join(part.to_bytes(32, "big") for part in decode_dss_signature(signature))
        return f"{body}.{_text(both)}"


def make_issuer(folder: Path, exported: str) -> Issuer:
    """Make one, of tokens for the files below `exported`, in a folder that is readable by all."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise UnavailableError("an issuer needs cryptography, of the group `test`") from error
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_numbers()
    public = {
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID,
        "x": _text(point.x.to_bytes(32, "big")), "y": _text(point.y.to_bytes(32, "big")),
    }  # fmt: skip
    cache = folder / "cache"
    place = cache / "scitokens"
    place.mkdir(parents=True)
    until = int(time.time()) + DAY_S
    known = {"jwks": {"keys": [public]}, "expires": until, "next_update": until}
    database = sqlite3.connect(place / "scitokens_cpp.sqllite")
    database.execute("CREATE TABLE keycache (issuer text PRIMARY KEY NOT NULL, keys text NOT NULL)")
    database.execute("INSERT INTO keycache VALUES (?, ?)", (ISSUER, json.dumps(known)))
    database.commit()
    database.close()
    if os.geteuid() == 0:
        for path in (cache, place, *place.iterdir()):
            shutil.chown(path, "daemon", "daemon")
    configuration = folder / "scitokens.cfg"
    configuration.write_text(
        f"[Global]\naudience = {AUDIENCE}\n\n"
        f"[Issuer higgsdemo]\nissuer = {ISSUER}\nbase_path = {exported}\n"
    )
    return Issuer(configuration, cache, key)
