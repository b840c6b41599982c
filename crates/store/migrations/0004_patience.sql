-- Waits for credentials do not use up the patience for faults that pass by themselves.
ALTER TABLE delivery ADD COLUMN credential_waits INTEGER NOT NULL DEFAULT 0;

-- Claims in a row that ended without a word; any progress starts the count anew.
ALTER TABLE delivery ADD COLUMN claims_lost INTEGER NOT NULL DEFAULT 0;
