-- Who changed what, in the transaction of the change. `at` is milliseconds since 1970-01-01T00:00:00Z.
CREATE TABLE audit (
    n          INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    org        TEXT NOT NULL,
    sandbox    TEXT NOT NULL,
    client     TEXT NOT NULL,
    operation  TEXT NOT NULL,
    address    TEXT,
    collection TEXT NOT NULL,
    object     TEXT NOT NULL,
    before     TEXT CHECK (before IS NULL OR length(before) = 64),
    after      TEXT CHECK (after IS NULL OR length(after) = 64)
) STRICT;

CREATE INDEX audit_of_org ON audit (org, n);
CREATE INDEX audit_of_object ON audit (org, object, n);
CREATE INDEX audit_of_client ON audit (org, client, n);
CREATE INDEX audit_at ON audit (at);

CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log do not change');
END;
