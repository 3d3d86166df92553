-- The newest manifest of an account's records.
CREATE TABLE record_manifests (
  aci BYTEA PRIMARY KEY,
  version BIGINT NOT NULL,
  value BYTEA NOT NULL
);

CREATE TABLE record_items (
  aci BYTEA NOT NULL,
  item_key BYTEA NOT NULL,
  value BYTEA NOT NULL,
  PRIMARY KEY (aci, item_key)
);

-- Whose records went with the account: credentials from before then bring none back. For as long as credentials last.
CREATE TABLE deleted_record_owners (
  aci BYTEA PRIMARY KEY,
  deleted_at_ms BIGINT NOT NULL
);
CREATE INDEX deleted_record_owners_deleted_at ON deleted_record_owners (deleted_at_ms);
