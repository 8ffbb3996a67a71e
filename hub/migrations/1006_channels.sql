-- What `available` means to a key: without what is held for web orders, or with it.
ALTER TABLE api_key ADD COLUMN stock TEXT NOT NULL DEFAULT 'net_of_holds' CHECK (stock IN ('net_of_holds', 'gross'));
