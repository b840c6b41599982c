-- The secret before the present one, accepted until an instant in milliseconds.
ALTER TABLE client ADD COLUMN former_sha256 BLOB CHECK (length(former_sha256) = 32);
ALTER TABLE client ADD COLUMN former_until INTEGER;

-- The client's name at the issuer of tokens outside.
ALTER TABLE client ADD COLUMN subject TEXT;

-- The oldest runs, for those who forget them.
CREATE INDEX run_oldest ON run (created_at);
