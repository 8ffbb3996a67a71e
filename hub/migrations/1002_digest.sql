-- Rows of a shop that were not what its movements say, and were written anew from them.
CREATE TABLE repair (
    no    INTEGER PRIMARY KEY,
    shop  INTEGER NOT NULL REFERENCES shop (id),
    at    INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    found TEXT NOT NULL
) STRICT;
CREATE INDEX repair_of_shop ON repair (shop, no);

-- Shops whose numbers here and there differ, though each side held its own against its log.
CREATE TABLE alert (
    shop  INTEGER PRIMARY KEY REFERENCES shop (id),
    at    INTEGER NOT NULL,
    found TEXT NOT NULL
) STRICT;
