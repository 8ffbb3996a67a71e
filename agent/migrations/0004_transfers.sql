-- Transfers that concern this shop, as the hub tells of them. What was booked here since is in the movements.
CREATE TABLE transfer (
    id       BLOB PRIMARY KEY CHECK (length(id) = 16),
    document TEXT,
    -- Who sent it, and to whom.
    sender   TEXT,
    receiver TEXT,
    state    INTEGER NOT NULL CHECK (state BETWEEN 0 AND 6),
    -- Somebody waits for something of it.
    open     INTEGER NOT NULL CHECK (open IN (0, 1)),
    since    INTEGER NOT NULL,
    hold     BLOB CHECK (length(hold) = 16),
    -- It has more lines than stand here.
    is_cut   INTEGER NOT NULL CHECK (is_cut IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX transfer_open ON transfer (since) WHERE open = 1;
CREATE INDEX transfer_document ON transfer (document) WHERE document IS NOT NULL;

CREATE TABLE transfer_line (
    transfer BLOB NOT NULL REFERENCES transfer (id),
    barcode  TEXT NOT NULL,
    sent     INTEGER NOT NULL,
    received INTEGER NOT NULL,
    -- Of these, what came here, as far as the hub knew.
    here     INTEGER NOT NULL,
    -- What was still on its way here.
    awaited  INTEGER NOT NULL,
    PRIMARY KEY (transfer, barcode)
) STRICT, WITHOUT ROWID;
CREATE INDEX transfer_line_awaited ON transfer_line (barcode) WHERE awaited > 0;

-- Where the pieces of legs are to go.
CREATE TABLE ship (
    leg      BLOB PRIMARY KEY CHECK (length(leg) = 16),
    receiver TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The movements of transfers.
CREATE INDEX movement_transfer ON movement (at) WHERE kind IN (4, 5);

-- The hub's transfers are held up to here, in the life that was this generation.
ALTER TABLE state ADD COLUMN transfers_held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE state ADD COLUMN transfers_generation INTEGER;
