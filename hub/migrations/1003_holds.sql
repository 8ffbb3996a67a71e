-- Web orders' holds. What of a hold never changes stands on each of its legs, so that one that was lost comes back with
-- any of them.
CREATE TABLE hold (
    id       BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    -- What was asked for, as a hash: the same key with another question is refused. None where the hold came back with
    -- a leg.
    asked    BLOB CHECK (length(asked) = 32),
    -- The feed position at which it was first heard of.
    pos      INTEGER NOT NULL,
    -- When the hub lets it go by itself; none where nothing of it is left to let go.
    due      INTEGER,
    -- A JSON array: why nobody was asked when the last of its shops had said no.
    rejected TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX hold_due ON hold (due) WHERE due IS NOT NULL;
CREATE INDEX hold_pos ON hold (pos);

CREATE TABLE leg (
    id            BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    hold          BLOB NOT NULL REFERENCES hold (id),
    shop          INTEGER NOT NULL REFERENCES shop (id),
    barcode       INTEGER NOT NULL REFERENCES barcode (id),
    -- What was ordered, where that is another barcode.
    ordered       INTEGER REFERENCES barcode (id),
    qty           INTEGER NOT NULL CHECK (qty > 0),
    -- The order's number.
    number        TEXT NOT NULL,
    caller        TEXT NOT NULL,
    purpose       INTEGER NOT NULL CHECK (purpose IN (0, 1)),
    created_at    INTEGER NOT NULL,
    allow_variant INTEGER NOT NULL CHECK (allow_variant IN (0, 1)),
    comes_from    BLOB,
    -- The hub's side: requested, ended, expired, released.
    hub           INTEGER NOT NULL CHECK (hub BETWEEN 0 AND 3),
    expires_at    INTEGER NOT NULL,
    -- The shop's side: none, declined, confirmed, moved, broken, fulfilled.
    side          INTEGER NOT NULL CHECK (side BETWEEN 0 AND 5),
    side_at       INTEGER,
    reason        INTEGER,
    movement      BLOB,
    -- The feed position at which it was first heard of, and that of the last change of a side.
    opened        INTEGER NOT NULL,
    pos           INTEGER NOT NULL,
    -- What the movements say: not merged, counts, void; and of a piece that travels here, which movement brought it.
    merged        INTEGER NOT NULL DEFAULT 0 CHECK (merged BETWEEN 0 AND 2),
    arrival       BLOB,
    -- The units that it holds: worked out from all of the above.
    held          INTEGER NOT NULL CHECK (held >= 0),
    -- The position at which a yes was merged that was not yet held against the stock.
    unchecked     INTEGER,
    -- Movements of its barcode were merged since its yes was last held against the stock.
    moved         INTEGER NOT NULL DEFAULT 0 CHECK (moved IN (0, 1)),
    -- A JSON array: why other shops were not chosen when it was opened.
    rejected      TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX leg_of_hold ON leg (hold, opened);
CREATE INDEX leg_of_shop ON leg (shop, pos);
CREATE INDEX leg_held ON leg (shop, barcode, held) WHERE held > 0;
CREATE INDEX leg_open_of_order ON leg (number) WHERE hub = 0 AND side IN (0, 2);
CREATE INDEX leg_open_of_caller ON leg (caller) WHERE hub = 0 AND side IN (0, 2);
CREATE INDEX leg_to_check ON leg (shop, unchecked) WHERE unchecked IS NOT NULL;
CREATE INDEX leg_moved ON leg (shop, barcode) WHERE moved = 1;
CREATE INDEX leg_that_waits ON leg (shop, barcode) WHERE comes_from IS NOT NULL AND arrival IS NULL;
CREATE INDEX leg_that_left ON leg (shop) WHERE hub = 0 AND side = 3;
CREATE INDEX leg_of_movement ON leg (movement) WHERE movement IS NOT NULL;
CREATE INDEX leg_of_arrival ON leg (arrival) WHERE arrival IS NOT NULL;

-- The shops that have returned their legs, in the life to which they did.
CREATE TABLE legs_returned (
    shop INTEGER PRIMARY KEY REFERENCES shop (id),
    life INTEGER NOT NULL,
    at   INTEGER NOT NULL
) STRICT;

-- What somebody has to look at: once for each leg and cause.
CREATE TABLE leg_work (
    leg  BLOB NOT NULL REFERENCES leg (id),
    kind INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    PRIMARY KEY (leg, kind)
) STRICT, WITHOUT ROWID;
