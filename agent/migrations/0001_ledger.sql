-- The ledger of one shop's agent. Barcodes are TEXT: a numeric column would eat leading zeros.
-- Replicas are small integers here and nowhere else.

-- What the ledger knows of itself and of the hub; one row.
CREATE TABLE state (
    one                  INTEGER PRIMARY KEY CHECK (one = 1),
    shop                 TEXT,
    -- 0 movements, 1 balances: who keeps the books now. What the hub wishes is in the settings.
    source               INTEGER NOT NULL DEFAULT 0 CHECK (source IN (0, 1)),
    source_as_of         INTEGER,
    -- The time of the opening: lines not after it are inside it.
    opened_at            INTEGER,
    current              INTEGER REFERENCES replica (no),
    -- Why the current replica may not be the only continuation of its log.
    doubt                TEXT,
    -- Where the database lay when it was last opened.
    file                 BLOB,
    path                 TEXT,
    machine              TEXT,
    life_ordinal         INTEGER,
    life_random          BLOB,
    registers            INTEGER NOT NULL DEFAULT 0,
    feed                 INTEGER NOT NULL DEFAULT 0,
    -- Rises with every new life of the hub; rows of an older one are taken away once all have come anew.
    generation           INTEGER NOT NULL DEFAULT 0,
    replaced             INTEGER NOT NULL DEFAULT 1 CHECK (replaced IN (0, 1)),
    token                BLOB,
    show_all             INTEGER NOT NULL DEFAULT 1 CHECK (show_all IN (0, 1)),
    -- The replica to which the hub, in its present life, has shown all its positions.
    all_for              INTEGER,
    last_exchange        INTEGER,
    skew_ms              INTEGER,
    quarantine_acked     INTEGER NOT NULL DEFAULT 0,
    -- Rises when the list of disagreements changes.
    disagreements        INTEGER NOT NULL DEFAULT 0,
    disagreements_acked  INTEGER NOT NULL DEFAULT 0,
    -- Movements not after it may change a disagreement.
    stated_upto          INTEGER
) STRICT;

CREATE TABLE replica (
    no        INTEGER PRIMARY KEY,
    id        BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    -- The hub holds the log up to here.
    acked     INTEGER NOT NULL DEFAULT 0 CHECK (acked >= 0),
    -- The hub's log is longer or different and has not come yet.
    is_behind INTEGER NOT NULL DEFAULT 0 CHECK (is_behind IN (0, 1)),
    minted_at INTEGER NOT NULL
) STRICT;

-- Every movement, as the bytes that are chained; the columns are read out of them.
CREATE TABLE movement (
    replica   INTEGER NOT NULL REFERENCES replica (no),
    seq       INTEGER NOT NULL CHECK (seq > 0),
    id        BLOB NOT NULL CHECK (length(id) = 16),
    -- Only where two movements of one key contradict each other.
    key_hash  BLOB CHECK (length(key_hash) = 16),
    barcode   TEXT NOT NULL,
    condition INTEGER NOT NULL CHECK (condition IN (0, 1)),
    kind      INTEGER NOT NULL,
    qty       INTEGER NOT NULL CHECK (abs(qty) <= 1000000),
    at        INTEGER NOT NULL,
    counts    INTEGER NOT NULL CHECK (counts IN (0, 1)),
    booked_at INTEGER NOT NULL,
    body      BLOB NOT NULL,
    chain     BLOB NOT NULL CHECK (length(chain) = 32),
    PRIMARY KEY (replica, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX movement_id ON movement (id);
CREATE INDEX movement_key ON movement (key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX movement_barcode ON movement (barcode, condition, at);
CREATE INDEX movement_sale ON movement (at) WHERE kind IN (2, 3);

-- Units ever added and removed; changes only with the movements that explain it.
CREATE TABLE total (
    barcode   TEXT NOT NULL,
    condition INTEGER NOT NULL,
    replica   INTEGER NOT NULL REFERENCES replica (no),
    p         INTEGER NOT NULL CHECK (p >= 0),
    n         INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (barcode, condition, replica)
) STRICT, WITHOUT ROWID;

-- The signed units of the movements that do not count.
CREATE TABLE voided (
    barcode   TEXT NOT NULL,
    condition INTEGER NOT NULL,
    units     INTEGER NOT NULL,
    PRIMARY KEY (barcode, condition)
) STRICT, WITHOUT ROWID;

-- Whom the void movements name, arrived or not.
CREATE TABLE void_target (
    target  BLOB NOT NULL CHECK (length(target) = 16),
    replica INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (target, replica, seq)
) STRICT, WITHOUT ROWID;

-- The statement that counts.
CREATE TABLE statement (
    barcode   TEXT NOT NULL,
    condition INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    id        BLOB NOT NULL,
    PRIMARY KEY (barcode, condition)
) STRICT, WITHOUT ROWID;

-- The shop's own words about a barcode.
CREATE TABLE words (
    barcode TEXT PRIMARY KEY,
    at      INTEGER NOT NULL,
    rest    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The tills that receipts named.
CREATE TABLE till (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- What was said once.
CREATE TABLE note (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Answers to idempotent calls.
CREATE TABLE reply (
    key     BLOB PRIMARY KEY,
    request BLOB NOT NULL,
    status  INTEGER NOT NULL,
    body    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- How far a file has been taken.
CREATE TABLE file (
    key         BLOB PRIMARY KEY CHECK (length(key) = 32),
    name        TEXT NOT NULL,
    position    INTEGER NOT NULL,
    imported    INTEGER NOT NULL,
    duplicates  INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    is_done     INTEGER NOT NULL CHECK (is_done IN (0, 1)),
    at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Records that were not booked.
CREATE TABLE quarantine (
    id      BLOB PRIMARY KEY CHECK (length(id) = 16),
    changed INTEGER NOT NULL UNIQUE,
    at      INTEGER NOT NULL,
    -- 0 open, 1 booked, 2 dropped.
    state   INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    reason  TEXT NOT NULL,
    message TEXT NOT NULL,
    file    TEXT,
    line    INTEGER,
    record  TEXT NOT NULL,
    retry   TEXT NOT NULL
) STRICT;
CREATE INDEX quarantine_open ON quarantine (state, changed);

-- A balances file on its way in.
CREATE TABLE stage (
    no            INTEGER PRIMARY KEY,
    key           BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
    name          TEXT NOT NULL,
    at            INTEGER NOT NULL,
    -- Bit 0, 1: what is not listed of this condition is 0.
    whole         INTEGER NOT NULL,
    is_complete   INTEGER NOT NULL DEFAULT 0 CHECK (is_complete IN (0, 1)),
    -- A warehouse of another shop that it speaks of.
    elsewhere     TEXT,
    -- What is being done with it: 1 opens, 2 verifies, 3 states. None: not judged yet.
    verdict       INTEGER,
    -- Done up to this row, in the order of (barcode, condition).
    done_barcode  TEXT NOT NULL DEFAULT '',
    done_condition INTEGER NOT NULL DEFAULT 0,
    written       INTEGER NOT NULL DEFAULT 0,
    agreed        INTEGER NOT NULL DEFAULT 0,
    disagreements INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE staged (
    stage     INTEGER NOT NULL REFERENCES stage (no),
    barcode   TEXT NOT NULL,
    condition INTEGER NOT NULL,
    -- None: it lists the barcode, and its quantity cannot be used.
    qty       INTEGER,
    scanned   TEXT,
    rest      BLOB NOT NULL,
    PRIMARY KEY (stage, barcode, condition)
) STRICT, WITHOUT ROWID;

-- What the shop's 1C said last of each row.
CREATE TABLE stated (
    barcode      TEXT NOT NULL,
    condition    INTEGER NOT NULL,
    qty          INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    file         TEXT NOT NULL,
    -- 0: the file did not list it, so it is 0.
    is_listed    INTEGER NOT NULL CHECK (is_listed IN (0, 1)),
    is_dismissed INTEGER NOT NULL DEFAULT 0 CHECK (is_dismissed IN (0, 1)),
    PRIMARY KEY (barcode, condition)
) STRICT, WITHOUT ROWID;
-- The last file that spoke of a whole condition.
CREATE TABLE whole (
    condition INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    file      TEXT NOT NULL
) STRICT;

CREATE TABLE disagreement (
    barcode      TEXT NOT NULL,
    condition    INTEGER NOT NULL,
    stated       INTEGER NOT NULL,
    on_hand      INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    is_uncertain INTEGER NOT NULL CHECK (is_uncertain IN (0, 1)),
    file         TEXT NOT NULL,
    PRIMARY KEY (barcode, condition)
) STRICT, WITHOUT ROWID;

-- What the hub writes: items, aliases, settings, other shops.
CREATE TABLE register (
    kind        INTEGER NOT NULL,
    key         TEXT NOT NULL,
    value       TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    external_id TEXT,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX register_external ON register (external_id) WHERE external_id IS NOT NULL;
-- Ids of the ERP that the shop's own files gave.
CREATE TABLE external_id (
    id      TEXT NOT NULL,
    barcode TEXT NOT NULL,
    PRIMARY KEY (id, barcode)
) STRICT, WITHOUT ROWID;

-- What the shop's own files say of an id of the ERP.
CREATE TABLE external_words (
    id   TEXT PRIMARY KEY,
    rest BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Levels of other shops.
CREATE TABLE other_shop (
    no         INTEGER PRIMARY KEY,
    shop       TEXT NOT NULL UNIQUE,
    as_of      INTEGER,
    confidence INTEGER NOT NULL
) STRICT;
CREATE TABLE other_level (
    barcode    TEXT NOT NULL,
    shop       INTEGER NOT NULL REFERENCES other_shop (no),
    on_hand    INTEGER NOT NULL,
    available  INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (barcode, shop)
) STRICT, WITHOUT ROWID;

-- The tills' tokens (their hashes) and the codes by which a page gets one.
CREATE TABLE terminal (
    token      BLOB PRIMARY KEY CHECK (length(token) = 32),
    name       TEXT NOT NULL,
    made_at    INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE pairing (
    code    BLOB PRIMARY KEY CHECK (length(code) = 32),
    name    TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO state (one) VALUES (1);
