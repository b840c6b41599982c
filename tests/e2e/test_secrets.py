"""Secrets: written once, sealed at rest, never seen again."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bed import PREFIX, need
from bucket import ALLOWED, Bucket
from issuer import AUDIENCE, NEW_KEY, Issuer
from offtake import CATALOG, FLOWS, S3, ZONE, Answer, Offtake, until
from table import DeltaTable

SECRET = "cAnArY0123456789" + "x" * 24
BAD_SECRET = "CaNaRy-with-a-character-the-pattern-refuses!"
KEY = "AKIAIOSFODNN7EXAMPLE"


def post_connection(service: Offtake, secret: str):
    body = {
        "name": "bucket",
        "auth": {"specName": "Access Key", "params": {"s3AccessKey": KEY, "s3SecretKey": secret}},
        "connectionSpec": {"id": S3, "version": "1.0"},
    }
    return service.call("POST", f"{FLOWS}/connections", body)


def own_files(data_dir: Path) -> list[Path]:
    """The service's own files: not the lake and not the zone, which belong to others too."""
    return [
        path
        for path in data_dir.rglob("*")
        if path.is_file() and path.relative_to(data_dir).parts[0] not in ("lake", "landing-zone")
    ]


def test_a_secret_never_comes_back(make: Callable[..., Offtake]) -> None:
    service = make(OFFTAKE_LOG="trace").start()
    created = post_connection(service, SECRET)
    assert created.status == 201, created.text
    one = service.call("GET", f"{FLOWS}/connections/{created.body['id']}")
    assert one.body["items"][0]["auth"]["params"]["s3SecretKey"] == "****"
    assert one.body["items"][0]["auth"]["params"]["s3AccessKey"] == KEY
    refused = post_connection(service, BAD_SECRET)
    assert refused.status == 400, refused.text

    said = [created.text, one.text, refused.text, service.call("GET", f"{FLOWS}/connections").text]
    assert service.terminate() == 0
    for canary in (SECRET, BAD_SECRET):
        assert not any(canary in text for text in said)
        assert canary not in service.logs()
        for path in own_files(service.data_dir):
            assert canary.encode() not in path.read_bytes(), path


# Every secret field that a destination has, each with a word that is looked for everywhere else.
S3_CANARY = "CanaryOfS3" + "x" * 30
SECRETS = {
    "s3": (S3, "Access Key", {"s3AccessKey": KEY, "s3SecretKey": S3_CANARY}, S3_CANARY),
    "blob": (
        "6d6b59bf-fb58-4107-9064-4d246c0e5bb2",
        "ConnectionString",
        {
            "connectionString": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=Q2FuYXJ5T2ZCbG9i"
            ";EndpointSuffix=core.windows.net"
        },
        "Q2FuYXJ5T2ZCbG9i",
    ),
    "adls": (
        "be2c3209-53bc-47e7-ab25-145db8b873e1",
        "Azure Service Principal Auth",
        {
            "url": "abfss://exports@a.dfs.core.windows.net",
            "tenant": "11111111-1111-1111-1111-111111111111",
            "servicePrincipalId": "writer",
            "servicePrincipalKey": "canary-of-adls",
        },
        "canary-of-adls",
    ),
    "gcs": (
        "c5d93acb-ea8b-4b14-8f53-02138444ae99",
        "Google Cloud Storage authentication credentials",
        {"accessKeyId": "GOOG1E" + "A" * 55, "secretAccessKey": "canaryOfGcs" + "y" * 29},
        "canaryOfGcs" + "y" * 29,
    ),
    "sftp password": (
        "36965a81-b1c6-401b-99f8-22508f1e6a26",
        "SFTP with Password",
        {"domain": "sftp.example.com", "username": "u", "password": "canary-of-sftp"},
        "canary-of-sftp",
    ),
    "sftp key": (
        "36965a81-b1c6-401b-99f8-22508f1e6a26",
        "SFTP with SSH Key",
        {"domain": "sftp.example.com", "username": "u", "sshKey": "Y2FuYXJ5LW9mLXNzaA=="},
        "Y2FuYXJ5LW9mLXNzaA",
    ),
}


GOOGLE_KEY = NEW_KEY["RS256"]().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

# Secrets that the operator's configuration refers to, by the variable that holds each.
OPERATORS = {
    "CANARY_AWS_KEY": "canary-of-the-operators-key",
    "CANARY_AWS_SECRET": "canary-of-the-operators-secret",
    "CANARY_LAKE_KEY": "canary-of-the-lake-key",
    "CANARY_LAKE_SECRET": "canary-of-the-lake-secret",
    "CANARY_LAKE_TOKEN": "canary-of-the-lake-token",
    "CANARY_AZURE_KEY": base64.b64encode(b"canary-of-the-azure-lake").decode(),
    "CANARY_AZURE_SAS": "sv=2024-08-04&sig=canary%2Dof%2Dthe%2Dsas",
    "CANARY_CLIENT_SECRET": "canary-of-the-tenants-client",
    "CANARY_PROXY": "http://user:canary-of-the-proxy@127.0.0.1:9",
}


def service_account() -> str:
    """The file that Google gives out for a key, whose tokens nobody answers for."""
    known = {"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key_id": "k"}
    return json.dumps(known | {"private_key": GOOGLE_KEY, "token_uri": "http://127.0.0.1:9/token"})


def configured(bucket: Bucket, issuer: Issuer) -> dict[str, str]:
    """Every setting that refers to a secret, and a log that says everything."""
    roots = {
        "AMAZON": {
            "URL": "s3://lake/tables",
            "ENDPOINT": "http://127.0.0.1:9",
            "ACCESS_KEY_ID": "env:CANARY_LAKE_KEY",
            "SECRET_ACCESS_KEY": "env:CANARY_LAKE_SECRET",
            "SESSION_TOKEN": "env:CANARY_LAKE_TOKEN",
        },
        "AZURE": {"URL": "az://lake/a", "ACCOUNT": "a", "ENDPOINT": "http://127.0.0.1:9", "ACCOUNT_KEY": "env:CANARY_AZURE_KEY"},
        "SIGNED": {"URL": "az://lake/b", "ACCOUNT": "a", "ENDPOINT": "http://127.0.0.1:9", "SAS": "env:CANARY_AZURE_SAS"},
        "TENANT": {
            "URL": "az://lake/c",
            "ACCOUNT": "a",
            "ENDPOINT": "http://127.0.0.1:9",
            "TENANT": "11111111-1111-1111-1111-111111111111",
            "CLIENT_ID": "reader",
            "CLIENT_SECRET": "env:CANARY_CLIENT_SECRET",
            "AUTHORITY": "http://127.0.0.1:9",
        },
        "GOOGLE": {"URL": "gs://lake/d", "ENDPOINT": "http://127.0.0.1:9", "SERVICE_ACCOUNT": "env:CANARY_GOOGLE"},
    }
    zone = {
        "URL": f"s3://{bucket.name}/zones",
        "ENDPOINT": bucket.endpoint,
        "REGION": need("S3_REGION"),
        "ACCESS_KEY_ID": f"env:{PREFIX}S3_ACCESS_KEY",
        "SECRET_ACCESS_KEY": "env:CANARY_ZONE_SECRET",
    }
    return (
        {f"OFFTAKE__LAKE__ROOTS__{root}__{key}": value for root, keys in roots.items() for key, value in keys.items()}
        | {f"OFFTAKE__LANDING_ZONE__{key}": value for key, value in zone.items()}
        | OPERATORS
        | {
            f"{PREFIX}S3_ACCESS_KEY": need("S3_ACCESS_KEY"),
            "CANARY_ZONE_SECRET": need("S3_SECRET_KEY"),
            "CANARY_GOOGLE": service_account(),
            "OFFTAKE_LOG": "trace",
            "OFFTAKE__AWS__ACCESS_KEY": "env:CANARY_AWS_KEY",
            "OFFTAKE__AWS__SECRET_KEY": "env:CANARY_AWS_SECRET",
            "OFFTAKE__NETWORK__PROXY": "env:CANARY_PROXY",
            "OFFTAKE__NETWORK__NO_PROXY": '["127.0.0.1"]',
            "OFFTAKE__DELIVERY__RETRY_SECS": "1",
            "OFFTAKE__OIDC__ISSUER": issuer.url,
            "OFFTAKE__OIDC__AUDIENCE": AUDIENCE,
            "OFFTAKE__OIDC__JWKS_URL": f"{issuer.url}/keys",
        }
        | ALLOWED
    )


def spellings(word: str) -> set[str]:
    """The word as it is and as it might be written down: escaped, in hexadecimals, and within something in base64."""
    data = word.encode()
    found = {word, json.dumps(word)[1:-1], quote(word, safe=""), quote(quote(word, safe=""), safe=""), data.hex(), data.hex().upper()}
    for before in range(3):
        # What stands before it moves its letters; those at the ends belong to neighbours, too.
        moved = base64.b64encode(b"." * before + data).decode().rstrip("=")
        inner = moved[4 if before else 0 : len(moved) // 4 * 4]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {it for it in found if len(it) >= 8}


def dumped(database: Path) -> str:
    """The database as text, every table of it, read beside the running service."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        return "\n".join(db.iterdump())


class Said:
    """Everything that came out of a service so far."""

    def __init__(self, service: Offtake) -> None:
        self.service = service
        self.answers: list[str] = []
        self.files: list[tuple[str, bytes]] = []

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        answer = self.service.call(method, path, body, **headers)
        self.answers += [answer.text, json.dumps(answer.headers)]
        return answer

    def command(self, *words: str) -> None:
        done = self.service.command(*words, check=False)
        self.answers += [done.stdout, done.stderr]

    def look(self) -> None:
        """Takes what lies in the data directory, the log of the database that is not part of it yet among it."""
        self.files += [(str(path), path.read_bytes()) for path in own_files(self.service.data_dir)]
        self.answers.append(dumped(self.service.data_dir / "offtake.db"))

    def check(self, words: list[str]) -> None:
        """None of the words is anywhere."""
        texts = [*self.answers, self.service.logs()]
        for word in words:
            for spelled in spellings(word):
                shown = [text[max(0, text.find(spelled) - 200) :][:400] for text in texts if spelled in text]
                assert not shown, (spelled, shown)
                held = [path for path, data in self.files if spelled.encode() in data]
                assert not held, (spelled, held)


def secret_fields(service: Offtake) -> set[tuple[str, str, str]]:
    """Every secret field of every connection spec that the service itself shows."""
    specs = service.call("GET", f"{FLOWS}/connectionSpecs").body["items"]
    return {
        (spec["id"], auth["name"], name)
        for spec in specs
        for auth in spec.get("authSpec", [])
        for name, field in auth["spec"]["properties"].items()
        if field.get("format") == "password"
    }


def test_no_secret_shows_anywhere(make: Callable[..., Offtake], bucket: Bucket) -> None:
    with Issuer() as issuer:
        service = make(**configured(bucket, issuer)).start()
        said = Said(service)
        known = {(spec, auth, name) for spec, auth, params, _ in SECRETS.values() for name in params}
        assert secret_fields(service) <= known, "a secret field without a canary"
        secret = rotated(said)
        words = tokens(said, issuer, secret)
        use_every_secret(said, bucket)
        said.look()
        assert (service.data_dir / "offtake.db-wal").stat().st_size > 0, "what is in the log was looked at"
        said.command("backup", str(service.data_dir.parent / "backup"))
        said.files += [(str(it), it.read_bytes()) for it in (service.data_dir.parent / "backup").rglob("*") if it.is_file()]
        assert service.terminate() == 0
        said.look()

    words += [canary for *_, canary in SECRETS.values()] + ["CanaryOfBlob", "canary-of-sssh", need("S3_SECRET_KEY")]
    words += [*OPERATORS.values(), *GOOGLE_KEY.splitlines()[1:-2]]
    words += ["canary-of-the-azure-lake", "canary%2Dof%2Dthe%2Dsas", "canary-of-the-proxy"]
    said.check(words)


def rotated(said: Said) -> str:
    """A client whose secret was changed: the answers that may show its secrets are not kept."""
    service = said.service
    made = service.call("POST", "/offtake/v1/clients", {"name": "partner", "roles": [{"role": "admin"}]})
    assert made.status == 201, made.text
    client = made.body["id"]
    changed = service.call("POST", f"/offtake/v1/clients/{client}/secret", {"graceSeconds": 600})
    assert changed.status == 200, changed.text
    said.call("GET", "/offtake/v1/clients")
    for secret in (made.body["secret"], changed.body["secret"]):
        answer = service.ask_for_token(client_id=client, client_secret=secret)
        assert answer.status == 200, answer.text
        wrong = service.ask_for_token(client_id=client, client_secret=secret + "x", grant_type="client_credentials")
        said.answers.append(wrong.text)
    return "\n".join((made.body["secret"], changed.body["secret"]))


def tokens(said: Said, issuer: Issuer, secrets: str) -> list[str]:
    """Tokens of both kinds, good and bad ones, and what became of them."""
    service = said.service
    own = service.headers()["Authorization"].removeprefix("Bearer ")
    subject = {"name": "pat", "roles": [{"role": "viewer"}], "subject": "pat"}
    client = service.call("POST", "/offtake/v1/clients", subject).body["id"]
    outside = issuer.token()
    for token in (outside, outside[:-4] + "AAAA"):
        headers = service.headers() | {"Authorization": f"Bearer {token}", "x-api-key": client}
        said.answers.append(service.raw("GET", f"{FLOWS}/flows", None, headers).text)
    signatures = [token.rsplit(".", 1)[1] for token in (own, outside)]
    return [own, outside, *signatures, *secrets.split("\n")]


def use_every_secret(said: Said, bucket: Bucket) -> None:
    """Makes, reads, changes, tries and uses everything that has a secret; and asks for what is refused with it."""
    service = said.service
    DeltaTable(service.data_dir / "lake" / "events").append(10)
    dataset = service.add_dataset("events", "lake://default/events")
    for name, (spec, auth, params, canary) in SECRETS.items():
        body = {"name": name, "auth": {"specName": auth, "params": params}}
        body |= {"connectionSpec": {"id": spec, "version": "1.0"}}
        made = said.call("POST", f"{FLOWS}/connections", body, **{"Idempotency-Key": name.replace(" ", "-")})
        assert made.status == 201, made.text
        path = f"{FLOWS}/connections/{made.body['id']}"
        one = said.call("GET", path).body["items"][0]
        change = [{"op": "replace", "path": "/auth/params", "value": params}]
        patched = said.call("PATCH", path, change, **{"If-Match": one["etag"]})
        assert patched.status == 200, patched.text
        # Refused, with the secret in what is refused: in a field, in a path, in a filter, in the place of another.
        wrong = {"specName": auth, "params": params | {"unknown": canary}}
        assert said.call("POST", f"{FLOWS}/connections", body | {"auth": wrong}).status == 400
        refused = [{"op": "replace", "path": "/auth/params/unknown", "value": canary}]
        assert said.call("PATCH", path, refused, **{"If-Match": "*"}).status == 400
        said.call("GET", f"{path}/test?bucketName=bucket&container=container")
        said.call("GET", f"{path}/explore?objectType=ROOT")
        draft = said.call("POST", f"{FLOWS}/connections?mode=draft", body)
        assert draft.status == 201, draft.text

    for root in ("amazon", "azure", "signed", "tenant", "google"):
        # Nothing answers there, but the keys are sent.
        table = {"name": root, "location": f"lake://{root}/events"}
        assert said.call("POST", f"{CATALOG}/dataSets", table).status >= 400
    role = {"s3Role": "arn:aws:iam::123456789012:role/r", "endpoint": "http://127.0.0.1:9"}
    assumed = {"name": "role", "auth": {"specName": "Assumed Role", "params": role}}
    assumed |= {"connectionSpec": {"id": S3, "version": "1.0"}}
    made = said.call("POST", f"{FLOWS}/connections", assumed)
    if made.status == 201:
        said.call("GET", f"{FLOWS}/connections/{made.body['id']}/test?bucketName=bucket")

    # Deliveries that use a secret, also the landing zone's, and one that is refused with it.
    for to in (bucket.destination(), ZONE):
        service.wait_for_run(service.start_run(service.make_flow(dataset, to=to)))
    refused = service.start_run(service.make_flow(dataset, to=bucket.destination(s3SecretKey=S3_CANARY)))
    for _ in until(20):
        # moto refuses nobody.
        run = said.call("GET", f"{FLOWS}/runs/{refused}").text
        if any(word in run for word in ("DESTINATION_KEYS_INVALID", "success")):
            break
    said.call("GET", "/data/foundation/connectors/landingzone?type=dlz_destination")
    for path in ("connections", "targetConnections", "sourceConnections", "flows", "runs"):
        assert said.call("GET", f"{FLOWS}/{path}?limit=100").status == 200
    log = said.call("GET", "/offtake/v1/audit?limit=100&collection=connections")
    assert len(log.body["items"]) >= 3 * len(SECRETS), log.text
    said.call("GET", "/offtake/v1/audit?limit=100")
    assert said.call("POST", "/offtake/v1/keys/rotate").status == 200
    said.call("GET", "/offtake/v1/keys")
    metrics = service.raw("GET", "/metrics", None, {})
    assert metrics.status == 200
    said.answers.append(metrics.text)
    for words in (["config", "check"], ["doctor", "--connections"], ["audit"], ["client", "list"]):
        said.command(*words)


def test_the_clients_secret_is_kept_as_a_digest_and_printed_once(make: Callable[..., Offtake]) -> None:
    service = make(OFFTAKE_LOG="trace").start()
    known = service.credentials()
    token = service.headers()["Authorization"].removeprefix("Bearer ")
    assert service.call("GET", f"{FLOWS}/flows").status == 200
    assert service.terminate() == 0
    assert service.logs().count(known["clientSecret"]) == 1
    assert token not in service.logs()

    service.start()
    assert service.terminate() == 0
    assert service.logs().count(known["clientSecret"]) == 1, "the second start does not print it"
    for path in own_files(service.data_dir):
        if path.name != "credentials.json":
            assert known["clientSecret"].encode() not in path.read_bytes(), path


def test_only_the_owner_may_look_into_the_data_directory(make: Callable[..., Offtake]) -> None:
    before = os.umask(0o022)
    try:
        service = make().start()
    finally:
        os.umask(before)
    post_connection(service, SECRET)
    assert service.data_dir.stat().st_mode & 0o077 == 0, "the data directory"
    for path in own_files(service.data_dir):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_second_service_over_the_same_data_directory_is_refused(service: Offtake) -> None:
    second = service.command("serve", "--listen", "127.0.0.1:0", check=False)
    assert second.returncode != 0
    assert service.call("GET", f"{FLOWS}/flows").status == 200
