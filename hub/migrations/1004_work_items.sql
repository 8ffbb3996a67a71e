-- What a person must look at: of each cause one entry at most that is not resolved.
CREATE TABLE work_item (
    id            BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    kind          TEXT NOT NULL,
    cause         TEXT NOT NULL,
    shop          TEXT,
    barcode       TEXT,
    state         TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'snoozed', 'resolved')),
    -- Its fact stood when it was last looked at. Of a resolved one: a person resolved it all the same.
    stands        INTEGER NOT NULL CHECK (stands IN (0, 1)),
    weight        INTEGER NOT NULL,
    -- 0: the manager's; 1: the director's.
    level         INTEGER NOT NULL CHECK (level IN (0, 1)),
    person        TEXT,
    channel       TEXT,
    -- A JSON object.
    evidence      TEXT NOT NULL,
    opened_at     INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    snoozed_until INTEGER,
    times         INTEGER NOT NULL DEFAULT 1 CHECK (times > 0)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX work_item_of_cause ON work_item (kind, cause) WHERE state <> 'resolved';
CREATE INDEX work_item_by_time ON work_item (opened_at, id);
CREATE INDEX work_item_by_change ON work_item (updated_at);
CREATE INDEX work_item_causes ON work_item (kind, cause, opened_at);

-- What happened to each, appended to only.
CREATE TABLE work_history (
    item   BLOB NOT NULL REFERENCES work_item (id),
    n      INTEGER NOT NULL CHECK (n > 0),
    at     INTEGER NOT NULL,
    by     TEXT NOT NULL,
    what   TEXT NOT NULL,
    -- A JSON object.
    detail TEXT NOT NULL,
    PRIMARY KEY (item, n)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER work_history_stays BEFORE UPDATE ON work_history
BEGIN SELECT RAISE (ABORT, 'the history of work items is only appended to'); END;

CREATE TRIGGER work_history_is_kept BEFORE DELETE ON work_history
BEGIN SELECT RAISE (ABORT, 'the history of work items is only appended to'); END;

-- The responsibility map: who looks after what. An empty column does not matter.
CREATE TABLE work_owner (
    id       BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    added_at INTEGER NOT NULL,
    person   TEXT NOT NULL,
    channel  TEXT,
    level    INTEGER NOT NULL CHECK (level IN (0, 1)),
    kind     TEXT,
    category TEXT,
    brand    TEXT,
    city     TEXT,
    -- A JSON list of ids of shops, and of beginnings of them with a '*'.
    shops    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Receivers. Their secrets are made of the token key and the salt, and stand nowhere.
CREATE TABLE webhook (
    name          TEXT PRIMARY KEY NOT NULL,
    url           TEXT NOT NULL,
    salt          BLOB NOT NULL CHECK (length(salt) = 16),
    -- A JSON list of kinds; empty: all.
    kinds         TEXT NOT NULL,
    -- Only what belongs to somebody whose channel it is.
    only_owned    INTEGER NOT NULL CHECK (only_owned IN (0, 1)),
    -- It may be a private address.
    internal      INTEGER NOT NULL CHECK (internal IN (0, 1)),
    added_at      INTEGER NOT NULL,
    delivered_at  INTEGER,
    -- Since when it has taken nothing that it was sent, and how it failed last.
    failing_since INTEGER,
    error         TEXT,
    -- What was not written down because too much waits already.
    dropped       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- What is to be delivered, written with what it tells. Those of one key go one after the other.
CREATE TABLE outbox (
    n        INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    webhook  TEXT NOT NULL REFERENCES webhook (name),
    key      TEXT NOT NULL,
    body     TEXT NOT NULL,
    made_at  INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX outbox_of_key ON outbox (webhook, key, n);

-- Which receipt lines were said, of shops with more than one log: two ids under one key are two words about one line.
CREATE TABLE receipt_key (
    shop    INTEGER NOT NULL REFERENCES shop (id),
    key     BLOB NOT NULL CHECK (length(key) = 16),
    id      BLOB NOT NULL CHECK (length(id) = 16),
    replica INTEGER NOT NULL REFERENCES replica (id),
    seq     INTEGER NOT NULL,
    PRIMARY KEY (shop, key, id)
) STRICT, WITHOUT ROWID;

-- Up to where each log was looked through for them.
CREATE TABLE receipt_scan (
    replica INTEGER PRIMARY KEY REFERENCES replica (id),
    seq     INTEGER NOT NULL
) STRICT;

-- The keys that have two ids or more.
CREATE TABLE receipt_twice (
    shop INTEGER NOT NULL REFERENCES shop (id),
    key  BLOB NOT NULL CHECK (length(key) = 16),
    PRIMARY KEY (shop, key)
) STRICT, WITHOUT ROWID;
