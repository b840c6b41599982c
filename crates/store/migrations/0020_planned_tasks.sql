-- A plan's tasks, in pieces: `tasks` is JSON, one task after the other, in gzip; `delivery.plan` is the plan without
-- them. Plans that were saved before hold their tasks themselves.
CREATE TABLE planned_tasks (
    delivery_id TEXT NOT NULL REFERENCES delivery (id),
    first_task  INTEGER NOT NULL,
    -- For each task [files, bytes]: the source files that it is the first to read.
    inputs      TEXT NOT NULL,
    tasks       BLOB NOT NULL,
    PRIMARY KEY (delivery_id, first_task)
) STRICT;

-- Rows that the tasks read, where all of them are counted.
ALTER TABLE delivery ADD COLUMN planned_rows INTEGER;
