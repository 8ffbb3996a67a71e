-- Pieces that were kept for an order that let them go, and that are back in the window.
CREATE TABLE put_back (
    leg BLOB PRIMARY KEY CHECK (length(leg) = 16),
    at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
