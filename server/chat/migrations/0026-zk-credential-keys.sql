-- The account's public key for zero-knowledge credentials; a new one gets a new rotation id.
CREATE TABLE zk_credential_keys (
  aci BYTEA PRIMARY KEY,
  public_key BYTEA NOT NULL,
  rotation_id BIGINT NOT NULL
);
