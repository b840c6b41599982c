-- The generation of a tenant's landing-zone signatures, once they were renewed; 1 before that.
CREATE TABLE zone_grant (
    org        TEXT NOT NULL,
    sandbox    TEXT NOT NULL,
    generation INTEGER NOT NULL CHECK (generation >= 1),
    PRIMARY KEY (org, sandbox),
    FOREIGN KEY (org, sandbox) REFERENCES sandbox (org, name)
) STRICT;
