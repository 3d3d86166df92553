-- A username, by its hash: nobody else can have it while it is owned, or until it expires.
-- State: owned, held (given up lately), reclaimable (its account was registered anew), reserved.
CREATE TABLE username_claims (
  hash BYTEA PRIMARY KEY,
  aci BYTEA NOT NULL,
  state TEXT NOT NULL,
  -- The account's version that brought it to this state: orders what one account holds.
  since_version INTEGER NOT NULL,
  -- Absent while it is owned.
  expires_at_ms BIGINT
);
CREATE INDEX username_claims_by_account ON username_claims (aci);
CREATE INDEX username_claims_by_expiry ON username_claims (expires_at_ms);

-- What an account reserved last, or may reclaim: the one name that it may confirm.
CREATE TABLE username_reservations (
  aci BYTEA PRIMARY KEY,
  hash BYTEA NOT NULL
);

-- The encrypted username behind a link.
CREATE TABLE username_links (
  handle BYTEA PRIMARY KEY,
  aci BYTEA NOT NULL,
  ciphertext BYTEA NOT NULL
);
