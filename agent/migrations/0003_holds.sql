-- The legs of web orders' holds that ask this shop, each with both sides. Nothing is ever taken away here.
CREATE TABLE leg (
    id            BLOB PRIMARY KEY CHECK (length(id) = 16),
    hold          BLOB NOT NULL CHECK (length(hold) = 16),
    barcode       TEXT NOT NULL,
    -- What was ordered, where that is another barcode.
    ordered       TEXT,
    qty           INTEGER NOT NULL CHECK (qty BETWEEN 1 AND 1000000),
    order_name    TEXT NOT NULL,
    caller        TEXT NOT NULL,
    purpose       INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    allow_variant INTEGER NOT NULL CHECK (allow_variant IN (0, 1)),
    comes_from    BLOB CHECK (length(comes_from) = 16),
    -- The hub's side: 0 requested, 1 ended, 2 expired, 3 released.
    hub           INTEGER NOT NULL CHECK (hub BETWEEN 0 AND 3),
    expires_at    INTEGER NOT NULL,
    -- The shop's side: 0 none, 1 declined, 2 confirmed, 3 moved, 4 broken, 5 fulfilled.
    shop          INTEGER NOT NULL CHECK (shop BETWEEN 0 AND 5),
    shop_at       INTEGER NOT NULL,
    shop_reason   INTEGER NOT NULL,
    shop_movement BLOB CHECK (length(shop_movement) = 16),
    -- What of it the hub is known to have in the life of `state.legs_generation`: 1 the hub's side, 2 the shop's.
    at_hub        INTEGER NOT NULL CHECK (at_hub BETWEEN 0 AND 3),
    -- When either side changed here.
    changed_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX leg_barcode ON leg (barcode);
CREATE INDEX leg_hold ON leg (hold);
-- What is asked and not answered, and what is promised.
CREATE INDEX leg_open ON leg (barcode) WHERE hub = 0 AND shop IN (0, 2);
-- What was kept for an order that let it go.
CREATE INDEX leg_let_go ON leg (changed_at) WHERE hub > 0 AND shop = 2;
CREATE INDEX leg_to_bring ON leg (id) WHERE at_hub < 3;

-- The hub's legs are held up to here, in the life that was this generation. An older program goes into a new life
-- without a word about legs: then the generations differ, and all of it is worth nothing.
ALTER TABLE state ADD COLUMN legs_held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE state ADD COLUMN legs_generation INTEGER;

-- What came in for a hold.
CREATE TABLE arrival (
    hold     BLOB NOT NULL CHECK (length(hold) = 16),
    movement BLOB NOT NULL CHECK (length(movement) = 16),
    PRIMARY KEY (hold, movement)
) STRICT, WITHOUT ROWID;

-- Sales of a file over a hold: a person says whose they were.
CREATE TABLE question (
    sale        BLOB PRIMARY KEY CHECK (length(sale) = 16),
    barcode     TEXT NOT NULL,
    -- Units of it that were promised.
    units       INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    answered_at INTEGER,
    -- Whose it was; none: somebody else's.
    leg         BLOB CHECK (length(leg) = 16)
) STRICT, WITHOUT ROWID;
CREATE INDEX question_open ON question (barcode) WHERE answered_at IS NULL;
