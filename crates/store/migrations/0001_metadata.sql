-- Instants are milliseconds since 1970-01-01T00:00:00Z. JSON columns carry their own version.

CREATE TABLE organisation (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE sandbox (
    org         TEXT NOT NULL REFERENCES organisation (id),
    name        TEXT NOT NULL,
    id          TEXT NOT NULL UNIQUE,
    title       TEXT NOT NULL,
    is_default  INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (org, name)
) STRICT;

CREATE UNIQUE INDEX sandbox_default ON sandbox (org) WHERE is_default = 1;

CREATE TABLE client (
    id            TEXT NOT NULL PRIMARY KEY,
    org           TEXT NOT NULL REFERENCES organisation (id),
    name          TEXT NOT NULL,
    secret_sha256 BLOB NOT NULL CHECK (length(secret_sha256) = 32),
    created_at    INTEGER NOT NULL,
    enabled       INTEGER NOT NULL CHECK (enabled IN (0, 1))
) STRICT;

CREATE TABLE resource (
    org            TEXT NOT NULL,
    sandbox        TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('connection', 'source', 'target', 'flow', 'dataset')),
    id             TEXT NOT NULL,
    revision       INTEGER NOT NULL CHECK (revision >= 1),
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    created_by     TEXT NOT NULL,
    updated_by     TEXT NOT NULL,
    created_client TEXT NOT NULL,
    updated_client TEXT NOT NULL,
    body           TEXT NOT NULL,
    -- Only flows have these.
    state          TEXT,
    generation     INTEGER,
    next_due_at    INTEGER,
    -- A deleted flow stays, hidden, until its last delivery has ended.
    hidden         INTEGER NOT NULL DEFAULT 0 CHECK (hidden IN (0, 1)),
    PRIMARY KEY (org, sandbox, kind, id),
    CHECK ((kind = 'flow') = (state IS NOT NULL AND generation IS NOT NULL))
) STRICT;

CREATE INDEX resource_newest ON resource (org, sandbox, kind, created_at DESC, id DESC);
-- Run ids are derived from the flow's id alone.
CREATE UNIQUE INDEX resource_flow ON resource (id) WHERE kind = 'flow';
CREATE INDEX resource_due ON resource (next_due_at)
    WHERE kind = 'flow' AND state = 'enabled' AND hidden = 0 AND next_due_at IS NOT NULL;

CREATE TABLE cursor (
    org        TEXT NOT NULL,
    sandbox    TEXT NOT NULL,
    flow_id    TEXT NOT NULL,
    dataset_id TEXT NOT NULL,
    position   TEXT NOT NULL,
    seq        INTEGER NOT NULL CHECK (seq >= 1),
    PRIMARY KEY (flow_id, dataset_id)
) STRICT;

CREATE TABLE seen_file (
    org        TEXT NOT NULL,
    sandbox    TEXT NOT NULL,
    flow_id    TEXT NOT NULL,
    dataset_id TEXT NOT NULL,
    path       TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    tag        TEXT,
    PRIMARY KEY (flow_id, dataset_id, path)
) STRICT;

CREATE TABLE run (
    id              TEXT NOT NULL PRIMARY KEY,
    org             TEXT NOT NULL,
    sandbox         TEXT NOT NULL,
    flow_id         TEXT NOT NULL,
    flow_generation INTEGER NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('scheduled', 'now', 'adhoc', 'replay')),
    trigger_key     TEXT NOT NULL,
    occurrence      INTEGER NOT NULL,
    whole           INTEGER NOT NULL CHECK (whole IN (0, 1)),
    spec            TEXT NOT NULL,
    created_by      TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    UNIQUE (flow_id, trigger_key)
) STRICT;

CREATE INDEX run_newest ON run (org, sandbox, created_at DESC, id DESC);
CREATE INDEX run_of_flow ON run (org, sandbox, flow_id, created_at DESC, id DESC);

CREATE TABLE delivery (
    -- The order of arrival.
    n                INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL UNIQUE,
    org              TEXT NOT NULL,
    sandbox          TEXT NOT NULL,
    run_id           TEXT NOT NULL REFERENCES run (id),
    flow_id          TEXT NOT NULL,
    dataset_id       TEXT NOT NULL,
    state            TEXT NOT NULL CHECK (state IN ('queued', 'planning', 'executing', 'publishing', 'manifesting',
                         'retry_wait', 'aborting', 'quarantined', 'succeeded', 'failed', 'cancelled', 'skipped')),
    rev              INTEGER NOT NULL DEFAULT 0,
    lease_owner      TEXT,
    lease_epoch      INTEGER NOT NULL DEFAULT 0,
    lease_expires_at INTEGER,
    resume           TEXT CHECK (resume IN ('planning', 'executing', 'publishing')),
    not_before       INTEGER,
    abort_then       TEXT CHECK (abort_then IN ('failed', 'cancelled')),
    attempt          INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    plan             TEXT,
    task_count       INTEGER,
    manifest_key     TEXT,
    manifest         BLOB,
    manifest_sha256  TEXT,
    fault            TEXT,
    metrics          TEXT,
    created_at       INTEGER NOT NULL,
    started_at       INTEGER,
    completed_at     INTEGER,
    updated_at       INTEGER NOT NULL,
    UNIQUE (run_id, dataset_id),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled', 'skipped')) = (completed_at IS NOT NULL)),
    CHECK ((state = 'retry_wait') = (resume IS NOT NULL AND not_before IS NOT NULL)),
    CHECK (state <> 'aborting' OR abort_then IS NOT NULL),
    CHECK (state NOT IN ('executing', 'publishing', 'manifesting', 'succeeded') OR plan IS NOT NULL),
    CHECK (state NOT IN ('manifesting', 'succeeded') OR manifest IS NOT NULL),
    -- A request to cancel ends a queued delivery at once.
    CHECK (state <> 'queued' OR cancel_requested = 0)
) STRICT;

-- All but queued and ended ones.
CREATE UNIQUE INDEX one_active ON delivery (flow_id, dataset_id)
    WHERE state IN ('planning', 'executing', 'publishing', 'manifesting', 'retry_wait', 'aborting', 'quarantined');
CREATE INDEX delivery_open ON delivery (n) WHERE completed_at IS NULL;
CREATE INDEX delivery_of_flow ON delivery (flow_id, dataset_id) WHERE completed_at IS NULL;

CREATE TABLE attempt (
    id          TEXT NOT NULL PRIMARY KEY,
    delivery_id TEXT NOT NULL REFERENCES delivery (id),
    task        INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    handle      TEXT,
    state       TEXT NOT NULL CHECK (state IN ('staged', 'discarded', 'delivered'))
) STRICT;

CREATE INDEX attempt_of_delivery ON attempt (delivery_id);
CREATE INDEX attempt_staged ON attempt (delivery_id) WHERE state = 'staged';

CREATE TABLE winner (
    delivery_id TEXT NOT NULL REFERENCES delivery (id),
    task        INTEGER NOT NULL,
    attempt_id  TEXT NOT NULL UNIQUE REFERENCES attempt (id),
    key         TEXT NOT NULL,
    bytes       INTEGER NOT NULL,
    rows        INTEGER NOT NULL,
    input_rows  INTEGER NOT NULL,
    file        TEXT NOT NULL,
    PRIMARY KEY (delivery_id, task)
) STRICT;
