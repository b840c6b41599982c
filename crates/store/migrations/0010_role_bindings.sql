-- Where a client has which role. `*` stands for every sandbox of its organisation.
CREATE TABLE role_binding (
    client  TEXT NOT NULL REFERENCES client (id),
    sandbox TEXT NOT NULL,
    role    TEXT NOT NULL CHECK (role IN ('operator', 'admin', 'exporter', 'ingestor', 'viewer')),
    PRIMARY KEY (client, sandbox, role)
) STRICT;

-- Clients from before roles could do everything.
INSERT INTO role_binding (client, sandbox, role) SELECT id, '*', 'operator' FROM client;
