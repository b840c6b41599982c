-- What requests with an Idempotency-Key made. `made` is taken before the thing is: a request that was cut off between
-- the two is finished by its repetition.
CREATE TABLE request_key (
    org            TEXT NOT NULL,
    sandbox        TEXT NOT NULL,
    client         TEXT NOT NULL,
    collection     TEXT NOT NULL,
    key            TEXT NOT NULL,
    request_sha256 BLOB NOT NULL CHECK (length(request_sha256) = 32),
    made           TEXT NOT NULL,
    taken_at       INTEGER NOT NULL,
    PRIMARY KEY (org, sandbox, client, collection, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX request_key_oldest ON request_key (taken_at);
