-- The newest stick of the hub that was taken: the ordinal of its life and its place there.
ALTER TABLE state ADD COLUMN stick_life INTEGER;
ALTER TABLE state ADD COLUMN stick_pos INTEGER;

-- Why the numbers here and at the hub differ, and since when; none: they do not.
ALTER TABLE state ADD COLUMN alert TEXT;
ALTER TABLE state ADD COLUMN alert_at INTEGER;

-- Rows that were not what the movements say, and were written anew.
CREATE TABLE repair (
    no    INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    found TEXT NOT NULL
) STRICT;
