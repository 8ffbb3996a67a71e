-- Transfers: what the movements of each id say together. All of it is worked out from the movements, as the totals are.
CREATE TABLE transfer (
    id       BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    -- What the sender calls it, and who that is by the movements' word.
    document TEXT,
    sender   TEXT,
    -- in transit, partial, received, damaged, other than sent, not sent, cancelled.
    state    INTEGER NOT NULL CHECK (state BETWEEN 0 AND 6),
    open     INTEGER NOT NULL CHECK (open IN (0, 1)),
    -- When it left, or where nothing did when it came: by the shop's word.
    since    INTEGER NOT NULL,
    -- The feed positions at which it was first heard of, and of its last change.
    opened   INTEGER NOT NULL,
    pos      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX transfer_opened ON transfer (opened);
CREATE INDEX transfer_open ON transfer (opened) WHERE open = 1;

CREATE TABLE transfer_movement (
    transfer BLOB NOT NULL REFERENCES transfer (id),
    replica  INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    PRIMARY KEY (transfer, replica, seq)
) STRICT, WITHOUT ROWID;

-- The shops that a transfer concerns: who sent, to whom, where it came. Whom it concerned once it concerns for ever.
CREATE TABLE transfer_place (
    shop     INTEGER NOT NULL REFERENCES shop (id),
    transfer BLOB NOT NULL REFERENCES transfer (id),
    opened   INTEGER NOT NULL,
    pos      INTEGER NOT NULL,
    PRIMARY KEY (shop, transfer)
) STRICT, WITHOUT ROWID;
CREATE INDEX transfer_place_of_transfer ON transfer_place (transfer);
CREATE INDEX transfer_place_opened ON transfer_place (shop, opened);
CREATE INDEX transfer_place_pos ON transfer_place (shop, pos);

-- The shops that a transfer names and this hub does not know: once it does, the transfer is worked out anew.
CREATE TABLE transfer_stranger (
    shop     TEXT NOT NULL,
    transfer BLOB NOT NULL REFERENCES transfer (id),
    PRIMARY KEY (shop, transfer)
) STRICT, WITHOUT ROWID;

-- Units on their way to a shop.
CREATE TABLE transit (
    shop     INTEGER NOT NULL REFERENCES shop (id),
    barcode  INTEGER NOT NULL REFERENCES barcode (id),
    transfer BLOB NOT NULL REFERENCES transfer (id),
    units    INTEGER NOT NULL CHECK (units > 0),
    PRIMARY KEY (shop, barcode, transfer)
) STRICT, WITHOUT ROWID;
CREATE INDEX transit_of_transfer ON transit (transfer);

-- What was merged before there were transfers, to be looked through once: up to where it was, and where that ends.
CREATE TABLE transfer_scan (
    replica INTEGER PRIMARY KEY REFERENCES replica (id),
    seq     INTEGER NOT NULL,
    upto    INTEGER NOT NULL
) STRICT;
INSERT INTO transfer_scan (replica, seq, upto) SELECT id, 0, seq FROM replica WHERE seq > 0;
