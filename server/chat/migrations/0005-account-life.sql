-- What an account gains after its registration. The lock is a salted hash of the token that the client sends.
ALTER TABLE accounts ADD COLUMN username_hash BYTEA;
ALTER TABLE accounts ADD COLUMN username_link_handle TEXT;
ALTER TABLE accounts ADD COLUMN registration_lock_salt TEXT;
ALTER TABLE accounts ADD COLUMN registration_lock_hash TEXT;

-- The time of creation, encrypted to the account.
ALTER TABLE devices ADD COLUMN created_at_ciphertext BYTEA;

-- An account that was deleted gets its identity back if its number returns in time.
CREATE TABLE deleted_accounts (
  pni BYTEA PRIMARY KEY,
  aci BYTEA NOT NULL,
  expires_at_ms BIGINT NOT NULL
);
