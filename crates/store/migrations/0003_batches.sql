-- Batches of uploaded files. Instants are milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE batch (
    id             TEXT NOT NULL PRIMARY KEY,
    org            TEXT NOT NULL,
    sandbox        TEXT NOT NULL,
    dataset_id     TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('loading', 'loaded', 'staging', 'success', 'failed', 'aborted', 'inactive')),
    external_id    TEXT,
    revision       INTEGER NOT NULL CHECK (revision >= 1),
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    created_by     TEXT NOT NULL,
    updated_by     TEXT NOT NULL,
    created_client TEXT NOT NULL,
    updated_client TEXT NOT NULL,
    details        TEXT NOT NULL
) STRICT;

CREATE INDEX batch_newest ON batch (org, sandbox, created_at DESC, id DESC);
CREATE INDEX batch_of_dataset ON batch (org, sandbox, dataset_id, created_at DESC, id DESC);
CREATE INDEX batch_open ON batch (state, updated_at) WHERE state IN ('loading', 'loaded', 'staging');
-- A batch that failed, or was taken back, frees its external id for another try.
CREATE UNIQUE INDEX batch_external ON batch (org, sandbox, dataset_id, external_id)
    WHERE external_id IS NOT NULL AND state NOT IN ('failed', 'aborted', 'inactive');
