"""An issuer of tokens outside the service: keys that change, tokens of every kind, and a switch to fall silent.

It answers as OpenID Connect says: a document under `/.well-known/` that names where the keys are, and the keys.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from listener import Answer, Listener

NEW_KEY: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
SHOWN = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}

AUDIENCE = "offtake"


class Issuer(Listener):
    """Signs with keys of its own and shows them while it is not silent."""

    def __init__(self) -> None:
        super().__init__(self.answer)
        self.keys: dict[str, tuple[str, Any]] = {}
        self.silent = False
        for algorithm in NEW_KEY:
            self.add_key(algorithm.lower(), algorithm)

    def add_key(self, kid: str, algorithm: str) -> None:
        """Shows one more key."""
        self.keys[kid] = (algorithm, NEW_KEY[algorithm]())

    def shown(self, kid: str) -> dict[str, str]:
        """The public half of a key, as the issuer's document has it."""
        algorithm, key = self.keys[kid]
        public = SHOWN[algorithm].to_jwk(key.public_key(), as_dict=True)
        return public | {"kid": kid, "alg": algorithm, "use": "sig"}

    def answer(self, _method: str, path: str, _body: bytes) -> Answer:
        """What the issuer says to whoever asks."""
        if self.silent:
            return 503, {}, b"later"
        documents = {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/keys": {"keys": [self.shown(kid) for kid in self.keys]},
        }
        return 200, {"Content-Type": "application/json"}, json.dumps(documents[path]).encode()

    def asked_for_keys(self) -> int:
        """How often somebody fetched the keys."""
        return sum(heard.startswith("GET /keys\n") for heard in self.heard)

    def claims(self, **changed: Any) -> dict[str, Any]:
        """The claims of a good token; a change to None leaves the claim out."""
        now = int(time.time())
        good = {"iss": self.url, "aud": AUDIENCE, "sub": "pat", "iat": now, "exp": now + 600}
        return {name: value for name, value in (good | changed).items() if value is not None}

    def token(self, kid: str = "rs256", header: dict[str, Any] | None = None, **changed: Any) -> str:
        """A token signed with that key."""
        algorithm, key = self.keys[kid]
        claims = json.dumps(self.claims(**changed)).encode()
        # The library checks claims that it encodes; a forger's does not.
        return jwt.PyJWS().encode(claims, key, algorithm, {"kid": kid, "typ": "JWT"} | (header or {}))
