-- What lists are selected by. A run's status and start follow from its deliveries; triggers keep them beside the run, so
-- that no statement that moves a delivery can forget to.
ALTER TABLE run ADD COLUMN status TEXT NOT NULL DEFAULT 'success';
ALTER TABLE run ADD COLUMN started_at INTEGER;
ALTER TABLE run ADD COLUMN flow_spec TEXT GENERATED ALWAYS AS (json_extract(spec, '$.value.flowSpec')) VIRTUAL;

CREATE VIEW run_progress (run_id, status, started_at) AS
    SELECT run_id,
           CASE
               WHEN sum(state = 'queued') = count(*) THEN 'waiting'
               WHEN sum(state NOT IN ('succeeded', 'skipped', 'failed', 'cancelled', 'quarantined')) > 0 THEN 'processing'
               WHEN sum(state IN ('failed', 'cancelled', 'quarantined')) > 0 THEN 'failed'
               ELSE 'success'
           END,
           min(started_at)
    FROM delivery GROUP BY run_id;

UPDATE run SET (status, started_at) = (SELECT status, started_at FROM run_progress WHERE run_id = run.id)
    WHERE EXISTS (SELECT 1 FROM delivery WHERE run_id = run.id);

CREATE TRIGGER run_progress_begins AFTER INSERT ON delivery BEGIN
    UPDATE run SET (status, started_at) = (SELECT status, started_at FROM run_progress WHERE run_id = NEW.run_id)
        WHERE id = NEW.run_id;
END;

CREATE TRIGGER run_progress_moves AFTER UPDATE OF state, started_at ON delivery
    WHEN NEW.state IS NOT OLD.state OR NEW.started_at IS NOT OLD.started_at
BEGIN
    UPDATE run SET (status, started_at) = (SELECT status, started_at FROM run_progress WHERE run_id = NEW.run_id)
        WHERE id = NEW.run_id;
END;

-- Each in the order of lists. What is tested without being searched by stands at the end, so that no row is read for it.
DROP INDEX run_newest;
DROP INDEX run_of_flow;
CREATE INDEX run_newest ON run (org, sandbox, created_at DESC, id DESC, started_at);
CREATE INDEX run_of_flow ON run (org, sandbox, flow_id, created_at DESC, id DESC, status, started_at);
CREATE INDEX run_by_status ON run (org, sandbox, status, created_at DESC, id DESC, started_at);
CREATE INDEX run_by_spec ON run (org, sandbox, flow_spec, created_at DESC, id DESC, status, started_at);

ALTER TABLE resource ADD COLUMN name TEXT GENERATED ALWAYS AS (json_extract(body, '$.value.name')) VIRTUAL;
ALTER TABLE resource ADD COLUMN spec TEXT GENERATED ALWAYS AS (json_extract(body, '$.value.spec.id')) VIRTUAL;
CREATE INDEX resource_by_name ON resource (org, sandbox, kind, name, created_at DESC, id DESC);
CREATE INDEX resource_by_spec ON resource (org, sandbox, kind, spec, created_at DESC, id DESC);
CREATE INDEX resource_by_state ON resource (org, sandbox, kind, state, created_at DESC, id DESC);
