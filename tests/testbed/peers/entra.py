"""Microsoft Entra ID's token endpoint, as far as an application with a secret needs it."""

from __future__ import annotations

import base64
import time
import urllib.parse
import uuid

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from refusal import Refusal, Rules

RULES = (
    "client-secret",  # a wrong one: AADSTS7000215
    "audience",  # a token meant for another service: 401
    "roles",  # an application without a writer's role: 403
)
STORAGE = "https://storage.azure.com"
VALID_SECS = 3599


class Entra:
    """One tenant with its applications, and the key that signs their tokens."""

    def __init__(self, base: str, tenant: str, applications: list[str], rules: Rules) -> None:
        self.base, self.tenant, self.rules = base, tenant, rules
        self.applications = {}
        for given in applications:
            name, secret, roles = given.split(":")
            self.applications[name] = (secret, set(filter(None, roles.split("+"))))
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self.key.public_key().public_numbers()
        self.public = {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": uuid.uuid4().hex,
            "e": unsigned(numbers.e),
            "n": unsigned(numbers.n),
        }

    def add_routes(self, app: web.Application) -> None:
        """Its three addresses."""
        app.router.add_post("/{tenant}/oauth2/v2.0/token", self.token)
        app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", self.discovery)
        app.router.add_get("/{tenant}/discovery/v2.0/keys", self.keys)

    async def token(self, request: web.Request) -> web.Response:
        """A token for an application that knows its secret."""
        tenant, form = request.match_info["tenant"], await request.post()
        if tenant != self.tenant:
            return refused(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
        if form.get("grant_type") != "client_credentials":
            return refused(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        name, secret = form.get("client_id"), form.get("client_secret")
        basic = request.headers.get("Authorization", "")
        if basic.startswith("Basic "):
            name, secret = map(urllib.parse.unquote, base64.b64decode(basic[6:]).decode().split(":", 1))
        if name not in self.applications:
            return refused(400, "unauthorized_client", 700016, f"Application with identifier '{name}' was not found.")
        if self.rules["client-secret"] and secret != self.applications[name][0]:
            return refused(401, "invalid_client", 7000215, "Invalid client secret provided.")
        audience, found, _ = form.get("scope", "").partition("/.default")
        if not found:
            return refused(400, "invalid_scope", 1002012, "The provided value for scope is not valid.")
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{tenant}/",
            "iat": now,
            "nbf": now - 5,
            "exp": now + VALID_SECS,
            "appid": name,
            "oid": str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
            "tid": tenant,
            "ver": "1.0",
        }
        signed = jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.public["kid"]})
        lifetime = {"expires_in": VALID_SECS, "ext_expires_in": VALID_SECS}
        return web.json_response({"token_type": "Bearer", "access_token": signed} | lifetime)

    async def discovery(self, request: web.Request) -> web.Response:
        """Where everything is."""
        here = f"{self.base}/{request.match_info['tenant']}"
        return web.json_response(
            {
                "issuer": f"{here}/v2.0",
                "token_endpoint": f"{here}/oauth2/v2.0/token",
                "authorization_endpoint": f"{here}/oauth2/v2.0/authorize",
                "jwks_uri": f"{here}/discovery/v2.0/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            }
        )

    async def keys(self, _: web.Request) -> web.Response:
        """The public half."""
        return web.json_response({"keys": [self.public]})

    def authorize(self, request: web.Request, account: str) -> None:
        """The caller holds one of our tokens, for storage, and its application's role covers what it wants."""
        where = f"authorization_uri={self.base}/{self.tenant}/oauth2/authorize resource_id={STORAGE}"
        challenge = {"WWW-Authenticate": f"Bearer {where}"}
        given = request.headers.get("Authorization", "")
        if not given.startswith("Bearer "):
            raise Refusal(401, "NoAuthenticationInformation", headers=challenge)
        audience = [STORAGE, f"{STORAGE}/", f"https://{account}.dfs.core.windows.net"]
        options = {"verify_aud": self.rules["audience"]}
        try:
            claims = jwt.decode(given[7:], self.key.public_key(), ["RS256"], options, audience=audience)
        except jwt.PyJWTError as error:
            raise Refusal(401, "InvalidAuthenticationInfo", str(error), challenge) from error
        _, roles = self.applications[claims["appid"]]
        needed = "reader" if request.method in ("GET", "HEAD") else "writer"
        if self.rules["roles"] and needed not in roles:
            raise Refusal(403, "AuthorizationPermissionMismatch", "This request is not authorized by this permission.")


def refused(status: int, error: str, number: int, text: str) -> web.Response:
    """Entra's way to say no."""
    told = {"error": error, "error_description": f"AADSTS{number}: {text}", "error_codes": [number]}
    return web.json_response(told | {"trace_id": str(uuid.uuid4()), "correlation_id": str(uuid.uuid4())}, status=status)


def unsigned(number: int) -> str:
    """A number as key sets write it."""
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
