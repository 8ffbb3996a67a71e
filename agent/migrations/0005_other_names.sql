-- Receipt lines that are in the ledger under another name than their own. It is this ledger's own and does not travel.
CREATE TABLE other_name (
    -- The hash of the line's key.
    line     BLOB PRIMARY KEY CHECK (length(line) = 16),
    -- What was booked of it. A movement is one line's.
    movement BLOB NOT NULL UNIQUE CHECK (length(movement) = 16)
) STRICT, WITHOUT ROWID;
