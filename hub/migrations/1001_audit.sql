-- Who changed what at the hub. It is only ever appended to: the numbers have no holes, and what was written stays.
CREATE TABLE audit (
    n      INTEGER PRIMARY KEY CHECK (n > 0),
    at     INTEGER NOT NULL,
    -- The life of the hub in which it was written.
    life   INTEGER NOT NULL,
    -- A key, the command line, a shop, the hub itself.
    by     TEXT NOT NULL,
    what   TEXT NOT NULL,
    shop   INTEGER REFERENCES shop (id),
    -- A JSON object.
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX audit_of_shop ON audit (shop, n) WHERE shop IS NOT NULL;

CREATE TRIGGER audit_is_appended BEFORE INSERT ON audit
WHEN NEW.n <> (SELECT coalesce(max(n), 0) + 1 FROM audit)
BEGIN SELECT RAISE (ABORT, 'the audit list is only appended to'); END;

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
BEGIN SELECT RAISE (ABORT, 'the audit list is only appended to'); END;

CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
BEGIN SELECT RAISE (ABORT, 'the audit list is only appended to'); END;
