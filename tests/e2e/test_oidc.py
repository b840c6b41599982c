"""Tokens of an issuer outside: whose they are, which are refused, and what happens when its keys change or it is down."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Callable, Iterator

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from issuer import AUDIENCE, NEW_KEY, Issuer
from offtake import FLOWS, Answer, Offtake, until

# The service asks an issuer once in so many seconds, whatever keys are named.
PAUSE_SECS = 30

REFUSED = {"error_code": "401013", "message": "Oauth token is not valid"}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as one:
        yield one


@pytest.fixture
def service(make: Callable[..., Offtake], issuer: Issuer) -> Offtake:
    """A service that believes the issuer, by the address of keys that the issuer's own document names."""
    with urllib.request.urlopen(f"{issuer.url}/.well-known/openid-configuration", timeout=10) as found:
        known = json.load(found)
    return make(
        OFFTAKE_LOG="trace",
        OFFTAKE__NETWORK__ALLOW='["127.0.0.1"]',
        OFFTAKE__OIDC__ISSUER=known["issuer"],
        OFFTAKE__OIDC__AUDIENCE=AUDIENCE,
        OFFTAKE__OIDC__JWKS_URL=known["jwks_uri"],
    ).start()


def client_of(service: Offtake, subject: str | None, role: str = "viewer", sandbox: str | None = None) -> str:
    """Makes a client and gives its id."""
    words = ["client", "add", f"for {subject}", "--role", role, "--json"]
    words += ["--subject", subject] if subject else []
    words += ["--sandbox", sandbox] if sandbox else []
    return json.loads(service.command(*words).stdout)["id"]


def ask(service: Offtake, token: str, client: str, method: str = "GET", body: object = None) -> Answer:
    """A request to the flows' collection or, with a body, one that makes a connection."""
    given = service.headers() | {"Authorization": f"Bearer {token}", "x-api-key": client}
    if body is None:
        return service.raw(method, f"{FLOWS}/flows", None, given)
    given["Content-Type"] = "application/json"
    return service.raw(method, f"{FLOWS}/connections", json.dumps(body).encode(), given)


def test_a_token_names_a_subject_and_the_roles_are_its_clients(service: Offtake, issuer: Issuer) -> None:
    assert issuer.asked_for_keys() == 0, "keys are fetched when a token needs them"
    viewer, exporter = client_of(service, "pat"), client_of(service, "robin", "exporter")
    for kid in issuer.keys:
        assert ask(service, issuer.token(kid), viewer).status == 200, kid
    assert issuer.asked_for_keys() == 1
    several = issuer.token(aud=["others", AUDIENCE])
    assert ask(service, several, viewer).status == 200

    zone = {"name": "zone"}
    forbidden = ask(service, issuer.token(), viewer, "POST", zone)
    assert forbidden.status == 403, forbidden.text
    assert forbidden.body["report"]["additionalContext"]["code"] == "PERMISSION_MISSING"
    made = ask(service, issuer.token(sub="robin"), exporter, "POST", zone)
    assert made.status == 201, made.text
    entry = service.call("GET", f"/offtake/v1/audit?id={made.body['id']}").body["items"][0]
    assert entry["client"] == exporter, "the log names who it was"
    # Nothing in the token grants anything.
    claimed = issuer.token(roles=["admin"], scope="admin", groups=["operator"])
    assert ask(service, claimed, viewer, "POST", zone).status == 403
    # Both kinds are on at once.
    assert service.call("GET", f"{FLOWS}/flows").status == 200


def test_a_subject_reaches_only_the_client_that_is_its_own(service: Offtake, issuer: Issuer) -> None:
    pat = client_of(service, "pat")
    nobody = client_of(service, None)
    robin = client_of(service, "robin")
    service.command("sandbox", "add", "elsewhere")
    guest = client_of(service, "guest", sandbox="elsewhere")
    unknown = {"error_code": "403003", "message": "Api Key is invalid"}
    for token, client in (
        (issuer.token(), robin),
        (issuer.token(), nobody),
        (issuer.token(), service.credentials()["clientId"]),
        (issuer.token(), "unknown"),
        (issuer.token(sub="stranger"), pat),
        (issuer.token(sub="PAT"), pat),
    ):
        answer = ask(service, token, client)
        assert (answer.status, answer.body) == (403, unknown)
    # A subject whose client has no role in this sandbox is known, and may nothing.
    answer = ask(service, issuer.token(sub="guest"), guest)
    assert answer.status == 403, answer.text
    assert answer.body["report"]["additionalContext"]["code"] == "PERMISSION_MISSING"
    # The client's own token opens the client, not the subject's.
    own = service.headers()["Authorization"].removeprefix("Bearer ")
    assert ask(service, own, pat).body == unknown
    service.command("client", "disable", pat)
    assert ask(service, issuer.token(), pat).body == unknown, "a disabled client's subject is out at once"


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forged(issuer: Issuer) -> dict[str, str]:
    """Tokens that the issuer did not make, or not for this service, or not for now."""
    good = issuer.token()
    head, claims, signature = good.split(".")
    now = issuer.claims()["iat"]
    shown = issuer.keys["rs256"][1].public_key()
    pem = shown.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    other = NEW_KEY["RS256"]()
    body = json.dumps(issuer.claims()).encode()
    sign = jwt.PyJWS().encode
    stranger = {"kid": "rs256", "jku": f"{issuer.url}/others", "jwk": {"kty": "oct", "k": "AA"}}
    # The library refuses to sign with a public key, so the forger does it by hand.
    hashed = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    confused = f"{encoded({'alg': 'HS256', 'kid': 'rs256'})}.{claims}"
    by_public_key = base64.urlsafe_b64encode(hashed.sign(confused.encode(), pem)).rstrip(b"=").decode()
    return {
        "another audience": issuer.token(aud="others"),
        "no audience": issuer.token(aud=None),
        "another issuer": issuer.token(iss="https://login.example.com"),
        "an issuer that begins alike": issuer.token(iss=f"{issuer.url}/"),
        "no issuer": issuer.token(iss=None),
        "no subject": issuer.token(sub=None),
        "a subject that is a number": issuer.token(sub=7),
        "expired": issuer.token(exp=now - 120),
        "no expiry": issuer.token(exp=None),
        "an expiry that is text": issuer.token(exp=str(now + 600)),
        "not yet valid": issuer.token(nbf=now + 600),
        "issued later": issuer.token(iat=now + 600),
        "a key that nobody knows": issuer.token(header={"kid": "unknown"}),
        "no key named": issuer.token(header={"kid": ""}),
        "a key of another kind": issuer.token(header={"kid": "es256"}),
        "critical words": issuer.token(header={"crit": ["b64"], "b64": True}),
        "signed by somebody else": sign(body, other, "RS256", {"kid": "rs256"}),
        "signed by a key it brings along": sign(body, other, "RS256", stranger),
        "a longer hash": sign(body, issuer.keys["rs256"][1], "RS512", {"kid": "rs256"}),
        "the public key as a secret": f"{confused}.{by_public_key}",
        "not signed": f"{encoded({'alg': 'none', 'kid': 'rs256'})}.{claims}.",
        "no signature": f"{head}.{claims}.",
        "other claims": f"{head}.{encoded(issuer.claims(sub='robin'))}.{signature}",
    }


def test_what_the_issuer_did_not_sign_for_us_is_refused(service: Offtake, issuer: Issuer) -> None:
    client = client_of(service, "pat")
    assert ask(service, issuer.token(), client).status == 200
    tokens = forged(issuer)
    for name, token in tokens.items():
        answer = ask(service, token, client)
        assert (answer.status, answer.body) == (401, REFUSED), name
    assert ask(service, issuer.token(), client).status == 200
    assert issuer.asked_for_keys() <= 2, "the tokens' words make nobody ask again and again"
    assert not [heard for heard in issuer.heard if heard.startswith("GET /others")]
    assert service.terminate() == 0
    assert not any(token in service.logs() for token in [issuer.token(), *tokens.values()])


def test_keys_change_while_the_service_runs(service: Offtake, issuer: Issuer) -> None:
    client = client_of(service, "pat")
    kept, taken_back = issuer.token("es256"), issuer.token("eddsa")
    for token in (kept, taken_back):
        assert ask(service, token, client).status == 200
    issuer.add_key("next", "ES256")
    del issuer.keys["eddsa"]
    new = issuer.token("next")
    refused = 0
    for _ in until(PAUSE_SECS + 10, pause=0.5):
        # Signed before the change and still shown: never refused on the way.
        assert ask(service, kept, client).status == 200
        if ask(service, new, client).status == 200:
            break
        refused += 1
    assert ask(service, new, client).status == 200
    assert refused > 10, "it waits before it asks again"
    assert issuer.asked_for_keys() == 2, f"one fetch for {refused} unknown keys"
    assert ask(service, taken_back, client).body == REFUSED


def test_a_silent_issuer_is_done_without(service: Offtake, issuer: Issuer) -> None:
    client = client_of(service, "pat")
    assert ask(service, issuer.token(), client).status == 200
    issuer.silent = True
    for kid in issuer.keys:
        assert ask(service, issuer.token(kid), client).status == 200, "keys that are known stay known"
    issuer.add_key("next", "ES256")
    asked = issuer.asked_for_keys()
    for _ in until(PAUSE_SECS + 10, pause=0.5):
        assert ask(service, issuer.token("next"), client).body == REFUSED
        assert ask(service, issuer.token(), client).status == 200
        if issuer.asked_for_keys() > asked:
            break
    assert issuer.asked_for_keys() == asked + 1, "it was asked, and said nothing"
    assert ask(service, issuer.token(), client).status == 200

    # A service that never heard the keys lets in its own clients only, and the others when the issuer is back.
    assert service.terminate() == 0
    service.start()
    assert service.call("GET", f"{FLOWS}/flows").status == 200
    assert ask(service, issuer.token(), client).body == REFUSED
    assert service.raw("GET", "/health/ready", None, {}).status == 200
    issuer.silent = False
    for _ in until(PAUSE_SECS + 10, pause=0.5):
        if ask(service, issuer.token("next"), client).status == 200:
            break
    assert ask(service, issuer.token("next"), client).status == 200
