"""Signatures of the fourth version, in Amazon's spelling and in Google's: checked for callers, made for the backend."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import time
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web
from refusal import Refusal

EMPTY = hashlib.sha256(b"").hexdigest()
SKEW_SECS = 900

# What differs between the two spellings.
HEADERS = {"AWS4": "x-amz-", "GOOG4": "x-goog-"}
LAST = {"AWS4": "aws4_request", "GOOG4": "goog4_request"}
SERVICES = {"AWS4": {"s3", "storage"}, "GOOG4": {"storage"}}

AUTHORIZATION = re.compile(
    r"(AWS4|GOOG4)-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]+)$"
)


@dataclass
class Claim:
    """What a caller says of itself, in the headers or, presigned, in the query."""

    family: str
    credential: str
    signed: list[str]
    signature: str
    when: str
    payload: str
    presigned: bool
    valid_secs: int = SKEW_SECS


def claim_of(request: web.Request) -> Claim:
    """Reads the claim; an anonymous caller is refused."""
    given = request.headers.get("Authorization", "")
    match = AUTHORIZATION.match(given)
    if match:
        family, credential, signed, signature = match.groups()
        prefix = HEADERS[family]
        when, payload = (request.headers.get(prefix + name, "") for name in ("date", "content-sha256"))
        return Claim(family, credential, signed.split(";"), signature, when, payload, presigned=False)
    for family, prefix in (("AWS4", "X-Amz-"), ("GOOG4", "X-Goog-")):
        query = request.query
        if prefix + "Algorithm" in query:
            credential, signed, signature, when = (
                query.get(prefix + name, "") for name in ("Credential", "SignedHeaders", "Signature", "Date")
            )
            valid = int(query.get(prefix + "Expires", 0))
            return Claim(family, credential, signed.split(";"), signature, when, "UNSIGNED-PAYLOAD", True, valid)
    raise Refusal(403, "InvalidSecurity" if given else "AccessDenied", "Anonymous caller does not have access.")


def check(request: web.Request, body: bytes, keys: dict[str, str], rewrites_encoding: bool) -> tuple[str, bytes]:
    """Checks the caller's signature. Gives its spelling and the body without the frames of signed chunks."""
    claim = claim_of(request)
    try:
        access_key, day, region, service, last = claim.credential.split("/")
        signed_at = datetime.datetime.strptime(claim.when, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    except ValueError as error:
        raise Refusal(400, "AuthorizationHeaderMalformed") from error
    if access_key not in keys:
        raise Refusal(403, "InvalidAccessKeyId", "The access key ID you provided does not exist.")
    age = time.time() - signed_at.timestamp()
    if age > claim.valid_secs or age < -SKEW_SECS:
        raise Refusal(403, "ExpiredToken" if claim.presigned else "RequestTimeTooSkewed")
    if last != LAST[claim.family] or service not in SERVICES[claim.family]:
        raise Refusal(400, "AuthorizationHeaderMalformed", f"the scope must end in {LAST[claim.family]}")
    check_signed_names(request, claim)

    algorithm = f"{claim.family}-HMAC-SHA256"
    scope = "/".join([day, region, service, last])
    text = canonical(request, claim, rewrites_encoding)
    key = signing_key(claim.family, keys[access_key], [day, region, service, last])
    if not hmac.compare_digest(seal(key, algorithm, claim.when, scope, text), claim.signature):
        raise Refusal(403, "SignatureDoesNotMatch", "Access denied.")
    return claim.family, check_payload(request, body, claim, key, scope)


def check_signed_names(request: web.Request, claim: Claim) -> None:
    """The host and every header of the family must be signed."""
    needed = {"host"}
    if not claim.presigned:
        needed |= {name.lower() for name in request.headers if name.lower().startswith(HEADERS[claim.family])}
    unsigned = needed - set(claim.signed)
    if unsigned:
        raise Refusal(403, "SignatureDoesNotMatch", f"not signed: {', '.join(sorted(unsigned))}")


def check_payload(request: web.Request, body: bytes, claim: Claim, key: bytes, scope: str) -> bytes:
    """The body is what was signed."""
    if claim.payload == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD":
        return unframed(request, body, claim, key, scope)
    if claim.payload.startswith("STREAMING-"):
        raise Refusal(400, "InvalidArgument", f"Invalid argument: {claim.payload}")
    if claim.payload not in ("UNSIGNED-PAYLOAD", sha256(body)):
        raise Refusal(400, "XAmzContentSHA256Mismatch", "The provided content hash does not match what was received.")
    return body


def unframed(request: web.Request, body: bytes, claim: Claim, key: bytes, scope: str) -> bytes:
    """The data of signed chunks, each signature checked."""
    data, at, before = b"", 0, claim.signature
    while True:
        end = body.index(b"\r\n", at)
        size, _, extension = body[at:end].partition(b";")
        length = int(size, 16)
        chunk = body[end + 2 : end + 2 + length]
        said = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", claim.when, scope, before, EMPTY, sha256(chunk)])
        before = hmac.new(key, said.encode(), hashlib.sha256).hexdigest()
        if extension.partition(b"=")[2].decode() != before:
            raise Refusal(403, "SignatureDoesNotMatch", "a chunk's signature")
        data, at = data + chunk, end + 2 + length + 2
        if length == 0:
            break
    if len(data) != int(request.headers.get("x-amz-decoded-content-length", len(data))):
        raise Refusal(400, "IncompleteBody")
    return data


def canonical(request: web.Request, claim: Claim, rewrites_encoding: bool) -> str:
    """The request as it was signed."""
    path, _, query = request.raw_path.partition("?")
    pairs = []
    for item in filter(None, query.split("&")):
        name, _, value = (part.replace("+", "%20") for part in item.partition("="))
        if urllib.parse.unquote(name) not in ("X-Amz-Signature", "X-Goog-Signature"):
            pairs.append((quote(urllib.parse.unquote(name)), quote(urllib.parse.unquote(value))))
    lines = []
    for name in claim.signed:
        value = ",".join(" ".join(it.split()) for it in request.headers.getall(name, []))
        # Google's front end rewrites this header before the signature is checked.
        if name == "accept-encoding" and rewrites_encoding:
            value += ",gzip(gfe)"
        lines.append(f"{name}:{value}\n")
    plain = quote(urllib.parse.unquote(path), "/-_.~")
    return compose(request.method, plain, pairs, lines, claim.signed, claim.payload)


def compose(
    method: str, path: str, pairs: Iterable[tuple[str, str]], lines: list[str], signed: list[str], payload: str
) -> str:
    """The text whose digest is signed."""
    query = "&".join(f"{name}={value}" for name, value in sorted(pairs))
    return "\n".join([method, path, query, "".join(lines), ";".join(signed), payload])


def seal(key: bytes, algorithm: str, when: str, scope: str, text: str) -> str:
    """The signature."""
    said = "\n".join([algorithm, when, scope, sha256(text.encode())])
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()


def signing_key(family: str, secret: str, scope: list[str]) -> bytes:
    """The key for one day, region and service."""
    key = (family + secret).encode()
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def signed_headers(
    method: str, host: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes, keys: dict
) -> dict[str, str]:
    """The headers of a call to the backend, in Amazon's spelling."""
    when = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    full = {name.lower(): value for name, value in headers.items()}
    full |= {"host": host, "x-amz-date": when, "x-amz-content-sha256": sha256(body)}
    names = sorted(full)
    lines = [f"{name}:{full[name].strip()}\n" for name in names]
    pairs = [(quote(name), quote(value)) for name, value in query]
    text = compose(method, path, pairs, lines, names, sha256(body))
    scope = [when[:8], keys["region"], "s3", "aws4_request"]
    key = signing_key("AWS4", keys["secret"], scope)
    signature = seal(key, "AWS4-HMAC-SHA256", when, "/".join(scope), text)
    credential = "/".join([keys["access"], *scope])
    given = f"Credential={credential}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return full | {"Authorization": f"AWS4-HMAC-SHA256 {given}"}


def sha256(data: bytes) -> str:
    """Its digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def quote(text: str, safe: str = "-_.~") -> str:
    """Percent-encoded as signatures want it."""
    return urllib.parse.quote(text, safe=safe)
