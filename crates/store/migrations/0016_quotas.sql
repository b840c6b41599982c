-- What an organisation may use; no limit where there is none.
ALTER TABLE organisation ADD COLUMN flows_max INTEGER CHECK (flows_max >= 0);
ALTER TABLE organisation ADD COLUMN concurrent_runs_max INTEGER CHECK (concurrent_runs_max >= 1);
ALTER TABLE organisation ADD COLUMN bytes_per_day_max INTEGER CHECK (bytes_per_day_max >= 0);

-- Bytes delivered on a day, in days since 1970-01-01 of UTC.
CREATE TABLE delivered_bytes (
    org   TEXT NOT NULL,
    day   INTEGER NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (org, day)
) STRICT;

CREATE INDEX delivery_leased ON delivery (org) WHERE completed_at IS NULL AND lease_owner IS NOT NULL;
