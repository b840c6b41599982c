-- What tells this database from every other one that began as the same. A restore draws a new one.
CREATE TABLE incarnation (
    one         INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id          TEXT NOT NULL,
    restored_at INTEGER
) STRICT;

INSERT INTO incarnation (one, id) VALUES (1, lower(hex(randomblob(16))));

-- Flows of a restored database, until each has caught up with what its destination holds. None of their deliveries is
-- claimed meanwhile.
CREATE TABLE held_flow (
    flow_id TEXT NOT NULL PRIMARY KEY,
    org     TEXT NOT NULL,
    sandbox TEXT NOT NULL,
    -- Why it could not go on when it was last tried.
    refusal TEXT
) STRICT;
