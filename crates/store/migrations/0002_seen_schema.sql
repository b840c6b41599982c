-- The schema that the files of a Parquet folder were delivered with; what comes later may only add to it.
ALTER TABLE cursor ADD COLUMN seen_schema TEXT;
