-- Opens registration of a number without a code. Kept as a salted hash; the number's identity owns it.
CREATE TABLE recovery_passwords (
  pni BYTEA PRIMARY KEY,
  salt TEXT NOT NULL,
  hash TEXT NOT NULL,
  expires_at_ms BIGINT NOT NULL
);
