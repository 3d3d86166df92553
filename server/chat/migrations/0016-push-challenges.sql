-- What was sent to an account's phone by push, as its SHA-256, until it comes back or is too old.
CREATE TABLE push_challenges (
  aci BYTEA PRIMARY KEY,
  digest BYTEA NOT NULL,
  expires_at_ms BIGINT NOT NULL
);
