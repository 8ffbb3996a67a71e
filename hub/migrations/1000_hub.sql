-- The hub's tables. Times are UTC milliseconds by the hub's clock unless said otherwise; small integers for shops,
-- barcodes and replicas exist in this file only.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The lives of this database; the one with the greatest ordinal is the current one.
CREATE TABLE hub_life (
    ordinal  INTEGER PRIMARY KEY,
    random   BLOB NOT NULL CHECK (length(random) = 16),
    began_at INTEGER NOT NULL,
    reason   TEXT NOT NULL
) STRICT;

-- One row for each commit that gave out feed positions: the last of them, and random bits that no other history has.
CREATE TABLE feed_commit (
    pos INTEGER PRIMARY KEY,
    tag INTEGER NOT NULL,
    at  INTEGER NOT NULL
) STRICT;

CREATE TABLE shop (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    settings    TEXT NOT NULL,
    address     TEXT,
    lat         REAL,
    lon         REAL,
    external_id TEXT,
    publish     INTEGER NOT NULL DEFAULT 1 CHECK (publish IN (0, 1)),
    added_at    INTEGER NOT NULL,
    -- Certificates given up to here do not open anything.
    revoked_at  INTEGER,
    revoked     INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1)),
    pos         INTEGER NOT NULL,
    -- 0: no index of ids; 1: being built; 2: complete.
    indexed     INTEGER NOT NULL DEFAULT 0 CHECK (indexed IN (0, 1, 2)),
    -- Some movement of the shop does not count.
    corrected   INTEGER NOT NULL DEFAULT 0 CHECK (corrected IN (0, 1))
) STRICT;

CREATE TABLE device (
    key        BLOB PRIMARY KEY NOT NULL CHECK (length(key) = 32),
    shop       INTEGER NOT NULL REFERENCES shop (id),
    issued_at  INTEGER NOT NULL,
    last_seen  INTEGER
) STRICT, WITHOUT ROWID;

-- One-time codes, as hashes only.
CREATE TABLE code (
    hash       BLOB PRIMARY KEY NOT NULL CHECK (length(hash) = 32),
    shop       INTEGER NOT NULL REFERENCES shop (id),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
    name       TEXT PRIMARY KEY NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('website', 'office', 'erp', 'admin')),
    hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- When a shop was heard from, in the life that heard it.
CREATE TABLE heard (
    shop     INTEGER PRIMARY KEY REFERENCES shop (id),
    life     INTEGER NOT NULL,
    exchange INTEGER NOT NULL,
    complete INTEGER,
    source   INTEGER,
    health   TEXT NOT NULL
) STRICT;

CREATE TABLE barcode (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE replica (
    id      INTEGER PRIMARY KEY,
    name    BLOB NOT NULL UNIQUE CHECK (length(name) = 16),
    shop    INTEGER NOT NULL REFERENCES shop (id),
    seq     INTEGER NOT NULL CHECK (seq >= 0),
    chain   BLOB NOT NULL CHECK (length(chain) = 32),
    -- The index of ids holds this log up to here.
    indexed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX replica_of_shop ON replica (shop);

-- Every movement, as the canonical bytes it came in.
CREATE TABLE movement (
    replica INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    barcode INTEGER NOT NULL,
    -- The movement of the same replica that moved the same row of totals before; 0: none. So the movements of a
    -- barcode are found without an index.
    prev    INTEGER NOT NULL,
    counts  INTEGER NOT NULL DEFAULT 1 CHECK (counts IN (0, 1)),
    body    BLOB NOT NULL,
    -- The chain after it, kept for every 64th.
    chain   BLOB,
    PRIMARY KEY (replica, seq)
) STRICT, WITHOUT ROWID;

-- Units ever added and removed, by replica. The level's feed position is the greatest of its rows.
CREATE TABLE total (
    shop       INTEGER NOT NULL,
    barcode    INTEGER NOT NULL,
    condition  INTEGER NOT NULL CHECK (condition IN (0, 1)),
    replica    INTEGER NOT NULL,
    p          INTEGER NOT NULL CHECK (p >= 0),
    n          INTEGER NOT NULL CHECK (n >= 0),
    -- The last movement of the replica that moved the row.
    last       INTEGER NOT NULL,
    pos        INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- What the shop's files say of the barcode (the rest of a movement), and as of when.
    words      BLOB,
    words_at   INTEGER,
    PRIMARY KEY (shop, barcode, condition, replica)
) STRICT, WITHOUT ROWID;

-- Signed units of movements that do not count, to be taken from the totals.
CREATE TABLE correction (
    shop      INTEGER NOT NULL,
    barcode   INTEGER NOT NULL,
    condition INTEGER NOT NULL CHECK (condition IN (0, 1)),
    units     INTEGER NOT NULL,
    PRIMARY KEY (shop, barcode, condition)
) STRICT, WITHOUT ROWID;

-- The index of ids, of shops that need it.
CREATE TABLE ident (
    shop    INTEGER NOT NULL,
    id      BLOB NOT NULL,
    replica INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (shop, id, replica, seq)
) STRICT, WITHOUT ROWID;

-- Whom void movements name.
CREATE TABLE named (
    shop   INTEGER NOT NULL,
    target BLOB NOT NULL,
    PRIMARY KEY (shop, target)
) STRICT, WITHOUT ROWID;

-- The ids of void movements themselves: nobody can void them.
CREATE TABLE void_id (
    shop INTEGER NOT NULL,
    id   BLOB NOT NULL,
    PRIMARY KEY (shop, id)
) STRICT, WITHOUT ROWID;

-- The statements of a shop's own ledger; of those of a row that no void names the greatest (at, id) counts.
CREATE TABLE statement (
    shop      INTEGER NOT NULL,
    barcode   INTEGER NOT NULL,
    condition INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    id        BLOB NOT NULL,
    replica   INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    PRIMARY KEY (shop, barcode, condition, at, id, replica, seq)
) STRICT, WITHOUT ROWID;

-- The movements in the order in which they were merged: each row takes `count` feed positions from `pos` on. With
-- `restated` it says that the state of one movement changed.
CREATE TABLE history (
    pos         INTEGER PRIMARY KEY,
    shop        INTEGER NOT NULL,
    replica     INTEGER NOT NULL,
    first_seq   INTEGER NOT NULL,
    count       INTEGER NOT NULL CHECK (count > 0),
    received_at INTEGER NOT NULL,
    restated    INTEGER NOT NULL DEFAULT 0 CHECK (restated IN (0, 1))
) STRICT;
CREATE INDEX history_of_replica ON history (replica, first_seq) WHERE restated = 0;
CREATE INDEX history_of_shop ON history (shop, pos);

-- What every shop reads. An empty value: the register was taken away.
CREATE TABLE register (
    kind  INTEGER NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    seq   INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

-- Other codes of a barcode: aliases and UINs (1), the ERP's ids (2).
CREATE TABLE alias (
    code    TEXT PRIMARY KEY NOT NULL,
    kind    INTEGER NOT NULL CHECK (kind IN (1, 2)),
    barcode TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What the catalogue says of goods whose barcodes come in another file: by the ERP's id.
CREATE TABLE product (
    external_id TEXT PRIMARY KEY NOT NULL,
    item        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE import (
    id          TEXT PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    state       TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    report      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    shop    INTEGER NOT NULL,
    id      BLOB NOT NULL,
    at      INTEGER NOT NULL,
    state   INTEGER NOT NULL,
    reason  TEXT NOT NULL,
    message TEXT NOT NULL,
    file    TEXT,
    line    INTEGER,
    record  TEXT NOT NULL,
    PRIMARY KEY (shop, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE disagreement (
    shop      INTEGER NOT NULL,
    barcode   TEXT NOT NULL,
    condition INTEGER NOT NULL,
    stated    INTEGER NOT NULL,
    on_hand   INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    uncertain INTEGER NOT NULL,
    file      TEXT NOT NULL,
    PRIMARY KEY (shop, barcode, condition)
) STRICT, WITHOUT ROWID;

-- What people decided about a shop's quarantine: sent until the shop shows that it is done.
CREATE TABLE decision (
    shop    INTEGER NOT NULL,
    target  BLOB NOT NULL,
    kind    INTEGER NOT NULL CHECK (kind IN (1, 2, 3)),
    made_at INTEGER NOT NULL,
    sent_at INTEGER,
    PRIMARY KEY (shop, target)
) STRICT, WITHOUT ROWID;
