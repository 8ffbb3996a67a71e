-- Where the pieces of holds are to go; with `is_stock` for nobody's order.
CREATE TABLE hold_destination (
    hold     BLOB PRIMARY KEY NOT NULL REFERENCES hold (id),
    shop     INTEGER NOT NULL REFERENCES shop (id),
    is_stock INTEGER NOT NULL CHECK (is_stock IN (0, 1)),
    pos      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
