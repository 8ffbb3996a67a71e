-- How many units of a level are kept back from web orders: of everything (0), of an article (1), of a barcode (2); in one
-- shop, or in all (0).
CREATE TABLE safety (
    no     INTEGER PRIMARY KEY,
    kind   INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 2),
    goods  TEXT NOT NULL,
    shop   INTEGER NOT NULL,
    units  INTEGER NOT NULL CHECK (units BETWEEN 0 AND 1000000),
    set_at INTEGER NOT NULL,
    UNIQUE (kind, goods, shop)
) STRICT;

-- Shops of which another number is kept back now, and whose levels behind this barcode have yet to get their new places in
-- the feed.
CREATE TABLE safety_untold (
    shop  INTEGER PRIMARY KEY REFERENCES shop (id),
    after INTEGER NOT NULL
) STRICT;
