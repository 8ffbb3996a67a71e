-- The words that the ERP's classifier has for its ids, of groups, properties, their values and the currencies of price types:
-- goods name the ids, and come in other files.
CREATE TABLE word (
    kind INTEGER NOT NULL,
    id TEXT NOT NULL,
    word TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
