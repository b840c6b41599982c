"""Who may ask: every missing, forged or foreign piece of identity has its documented answer (contract, 2.2 to 2.4)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from offtake import FLOWS, Offtake

PROTECTED = f"{FLOWS}/flows"


def encoded(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def decoded(part: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def get(service: Offtake, changed: dict[str, str | None]) -> tuple[int, dict]:
    headers = service.headers() | changed
    answer = service.raw("GET", PROTECTED, None, {name: value for name, value in headers.items() if value is not None})
    return answer.status, answer.body


@pytest.mark.parametrize(
    ("changed", "status", "code", "message"),
    [
        ({"Authorization": None}, 403, "403010", "Oauth token is missing."),
        ({"Authorization": "Bearer"}, None, None, None),
        ({"Authorization": "Bearer nonsense"}, 401, "401013", "Oauth token is not valid"),
        ({"Authorization": "Bearer a.b.c"}, 401, "401013", "Oauth token is not valid"),
        ({"x-api-key": None}, 403, "403000", "Api Key is required"),
        ({"x-api-key": "nobody"}, 403, "403003", "Api Key is invalid"),
        ({"x-gw-ims-org-id": None}, 400, "400003", "Missing header"),
        ({"x-gw-ims-org-id": "0123456789ABCDEF01234567@AdobeOrg"}, 403, "403025", "Profile is not valid"),
        # The order of the checks: token, key, organisation.
        ({"Authorization": None, "x-api-key": None, "x-gw-ims-org-id": None}, 403, "403010", "Oauth token is missing."),
        ({"x-api-key": None, "x-gw-ims-org-id": None}, 403, "403000", "Api Key is required"),
    ],
)
def test_each_header_has_its_documented_refusal(
    service: Offtake, changed: dict, status: int | None, code: str | None, message: str | None
) -> None:
    got, body = get(service, changed)
    if status is None:
        assert got in (401, 403), body
        return
    assert (got, body) == (status, {"error_code": code, "message": message})


def test_a_whole_set_of_headers_is_let_in(service: Offtake) -> None:
    assert get(service, {})[0] == 200
    assert get(service, {"x-sandbox-name": None})[0] == 200, "without a name the default sandbox is meant"
    lower = {name.lower(): value for name, value in service.headers().items()}
    assert service.raw("GET", PROTECTED, None, lower).status == 200


def test_an_unknown_sandbox_is_not_found(service: Offtake) -> None:
    status, body = get(service, {"x-sandbox-name": "elsewhere"})
    assert status == 404, body
    assert "2100-404" in json.dumps(body)


def test_forged_tokens_are_refused(service: Offtake) -> None:
    token = service.headers()["Authorization"].removeprefix("Bearer ")
    header, claims, signature = token.split(".")
    other = "A" if signature[5] != "A" else "B"
    nearly = signature[:5] + other + signature[6:]
    later = decoded(claims) | {"exp": 99999999999}
    forged = {
        "another signature": f"{header}.{claims}.{nearly}",
        "no signature": f"{header}.{claims}.",
        "a longer life": f"{header}.{encoded(later)}.{signature}",
        "algorithm none": f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{claims}.",
        "algorithm none, signed": f"{encoded({'alg': 'None', 'typ': 'JWT'})}.{claims}.{signature}",
        "a key of its own": f"{encoded(decoded(header) | {'jku': 'http://127.0.0.1:1/k'})}.{claims}.{signature}",
        "two tokens": f"{token}.{token}",
        "surroundings": f"{token} {token}",
    }
    for name, value in forged.items():
        status, body = get(service, {"Authorization": f"Bearer {value}"})
        assert (status, body["error_code"]) == (401, "401013"), name


def test_a_token_of_another_installation_is_refused(service: Offtake, make: Callable[..., Offtake]) -> None:
    foreign = make("foreign").start().headers()["Authorization"]
    status, body = get(service, {"Authorization": foreign})
    assert (status, body["error_code"]) == (401, "401013")


def test_a_token_outlives_a_restart(service: Offtake) -> None:
    before = service.headers()
    assert service.terminate() == 0
    service.start()
    assert service.raw("GET", PROTECTED, None, before).status == 200


def test_the_token_answer_has_the_documented_shape(service: Offtake) -> None:
    answer = service.ask_for_token()
    assert answer.status == 200
    assert set(answer.body) == {"access_token", "token_type", "expires_in"}
    assert answer.body["token_type"] == "bearer"
    assert 500 < answer.body["expires_in"] <= 86_400


@pytest.mark.parametrize(
    "changed",
    [{"client_secret": "wrong"}, {"client_id": "nobody"}, {"grant_type": "password"}, {"client_secret": ""}],
)
def test_wrong_credentials_get_no_token(service: Offtake, changed: dict[str, str]) -> None:
    answer = service.ask_for_token(**changed)
    assert answer.status in (400, 401), answer.text
    assert "access_token" not in answer.text


def test_a_body_without_content_type_is_refused_as_documented(service: Offtake) -> None:
    headers = service.headers() | {"Content-Type": "text/plain"}
    answer = service.raw("POST", f"{FLOWS}/connections", b'{"name": "zone"}', headers)
    assert answer.status == 400, answer.text
    assert answer.body["title"] == "BadRequestError"
    assert answer.body["detail"] == "A valid content-type must be specified"
    assert service.call("GET", f"{FLOWS}/connections").body["items"] == [], "a refusal leaves no row behind"
