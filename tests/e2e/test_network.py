"""The network guard around connections that users make, and what of their secrets is seen anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from listener import Answer, Listener
from offtake import FLOWS, S3, Offtake

KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "cAnArYcAnArY0123" + "y" * 24
TEMPORARY = "tEmPoRaRyCaNaRy0" + "z" * 24
TOKEN = "sEsSiOnCaNaRy" + "t" * 40
OPERATOR = "oPeRaToRcAnArY00" + "o" * 24
ROLE = "arn:aws:iam::123456789012:role/offtake"

DENIED = b"<Error><Code>AccessDenied</Code><Message>no</Message><RequestId>r</RequestId></Error>"
ASSUMED = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIATEMPORARY</AccessKeyId><SecretAccessKey>{TEMPORARY}</SecretAccessKey>
<SessionToken>{TOKEN}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>""".encode()


def denied(_method: str, _path: str, _body: bytes) -> Answer:
    return 403, {"Content-Type": "application/xml"}, DENIED


def connect(service: Offtake, auth: str, **params: object) -> str:
    body = {
        "name": "bucket",
        "auth": {"specName": auth, "params": params},
        "connectionSpec": {"id": S3, "version": "1.0"},
    }
    made = service.call("POST", f"{FLOWS}/connections", body)
    assert made.status == 201, made.text
    return made.body["id"]


def with_keys(service: Offtake, endpoint: str) -> str:
    return connect(service, "Access Key", s3AccessKey=KEY, s3SecretKey=SECRET, endpoint=endpoint)


def failure(service: Offtake, connection: str) -> dict[str, str]:
    """Why the connection's test says no."""
    answer = service.call("GET", f"{FLOWS}/connections/{connection}/test?bucketName=bucket")
    assert answer.status == 200, answer.text
    assert answer.body["result"] is False, answer.text
    return answer.body["failure"]


def seen_nowhere(service: Offtake, canaries: Iterable[str], said: Iterable[str]) -> None:
    """No answer, log or file of the service holds one of the canaries, in plain or percent-encoded."""
    texts = [*said, service.logs()]
    files = [path for path in service.data_dir.rglob("*") if path.is_file()]
    for canary in canaries:
        assert not any(canary in text for text in texts), canary
        for path in files:
            assert canary.encode() not in path.read_bytes(), (canary, path)


def test_private_endpoints_are_refused_before_anything_is_sent(make: Callable[..., Offtake]) -> None:
    service = make(OFFTAKE_LOG="trace").start()
    with Listener(denied) as listener:
        port = listener.url.rsplit(":", 1)[1]
        said = []
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "169.254.169.254"):
            why = failure(service, with_keys(service, f"http://{host}:{port}"))
            assert why["code"] == "NETWORK_REFUSED", (host, why)
            assert why["container"] == "bucket"
            said.append(json.dumps(why))
        assert listener.heard == []
    assert service.terminate() == 0
    seen_nowhere(service, [SECRET], said)


def test_a_bucket_is_tried_where_it_is_used_or_named(service: Offtake) -> None:
    connection = with_keys(service, "https://127.0.0.1:9")
    path = f"{FLOWS}/connections/{connection}/test"
    unused = service.call("GET", path)
    assert unused.status == 400, unused.text
    assert "bucketName" in unused.text
    target = {
        "name": "target",
        "baseConnectionId": connection,
        "connectionSpec": {"id": S3, "version": "1.0"},
        "params": {"bucketName": "used", "path": "p", "compression": "NONE", "datasetFileType": "JSON"},
    }
    assert service.call("POST", f"{FLOWS}/targetConnections", target).status == 201
    used = service.call("GET", path)
    assert used.body["failure"]["container"] == "used", used.text


def test_a_store_that_redirects_takes_nothing_with_it(make: Callable[..., Offtake]) -> None:
    service = make(OFFTAKE_LOG="trace", OFFTAKE__NETWORK__ALLOW='["127.0.0.1"]').start()
    with Listener(denied) as second:

        def moved(_method: str, path: str, _body: bytes) -> Answer:
            return 307, {"Location": second.url + path}, b""

        with Listener(moved) as first:
            why = failure(service, with_keys(service, first.url))
            assert first.heard, "the first host was asked"
            assert "Signature=" in first.text()
            assert SECRET not in first.text()
        assert second.heard == []
    assert service.terminate() == 0
    seen_nowhere(service, [SECRET], [json.dumps(why)])


def test_a_role_is_taken_on_with_the_operators_keys(make: Callable[..., Offtake], tmp_path: Path) -> None:
    key = tmp_path / "operator"
    key.write_text(OPERATOR + "\n")

    def sts(_method: str, _path: str, _body: bytes) -> Answer:
        return 200, {"Content-Type": "text/xml"}, ASSUMED

    with Listener(sts) as tokens, Listener(denied) as store:
        service = make(
            OFFTAKE_LOG="trace",
            OPERATOR_KEY_ID="AKIAOPERATOR",
            OFFTAKE__NETWORK__ALLOW='["127.0.0.1"]',
            OFFTAKE__AWS__ACCESS_KEY="env:OPERATOR_KEY_ID",
            OFFTAKE__AWS__SECRET_KEY=f"file:{key}",
            OFFTAKE__AWS__STS_ENDPOINT=tokens.url,
        ).start()
        org = service.credentials()["org"]
        connection = connect(service, "Assumed Role", s3Role=ROLE, endpoint=store.url)
        why = failure(service, connection)
        assert why["code"] == "DESTINATION_DENIED", why
        failure(service, connection)
        assert len(tokens.heard) == 1, "the keys of the role are used again"
        assert "AKIAOPERATOR/" in tokens.text()
        assert "ExternalId=" + org.replace("@", "%40") in tokens.text()
        assert "ASIATEMPORARY/" in store.text()
        assert f"x-amz-security-token: {TOKEN}" in store.text().lower().replace(TOKEN.lower(), TOKEN)
        for secret in (OPERATOR, TEMPORARY):
            assert secret not in tokens.text() + store.text()

        foreign = connect(service, "Assumed Role", s3Role=ROLE, externalId="F" * 24 + "@AdobeOrg", endpoint=store.url)
        assert failure(service, foreign)["code"] == "CONNECTION_NOT_USABLE", "another organisation's external id"
        assert len(tokens.heard) == 1
    assert service.terminate() == 0
    seen_nowhere(service, [OPERATOR, TEMPORARY, TOKEN], [json.dumps(why)])


def test_secrets_do_not_stand_in_the_configuration(make: Callable[..., Offtake]) -> None:
    service = make(OFFTAKE__AWS__ACCESS_KEY="env:HOME", OFFTAKE__AWS__SECRET_KEY=OPERATOR)
    try:
        service.start()
    except AssertionError as refused:
        assert "aws.secret_key" in str(refused)
        assert OPERATOR not in str(refused)
    else:
        raise AssertionError("a pasted secret was accepted")
