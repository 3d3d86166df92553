-- What an account committed to: blinded, so that it does not say which backups are its own.
CREATE TABLE backup_commitments (
  aci BYTEA PRIMARY KEY,
  messages_request BYTEA,
  media_request BYTEA,
  -- The receipt that paid last, and until when.
  receipt_serial BYTEA,
  paid_until_ms BIGINT
);

-- A receipt pays once. Nothing says for whom.
CREATE TABLE redeemed_receipts (
  serial BYTEA PRIMARY KEY,
  expires_at_ms BIGINT NOT NULL
);

CREATE INDEX redeemed_receipts_by_expiry ON redeemed_receipts (expires_at_ms);

-- A backup, by the first 16 bytes of the SHA-256 of its id. Nothing says whose.
CREATE TABLE stored_backups (
  id_hash BYTEA PRIMARY KEY,
  public_key BYTEA NOT NULL,
  backup_dir TEXT NOT NULL,
  media_dir TEXT NOT NULL,
  -- The start of a day (UTC). The second one moves only for who may keep media, and is empty before.
  refreshed_at_ms BIGINT NOT NULL,
  media_refreshed_at_ms BIGINT,
  media_bytes BIGINT NOT NULL,
  media_objects BIGINT NOT NULL,
  usage_counted_at_ms BIGINT NOT NULL
);

CREATE INDEX stored_backups_by_refresh ON stored_backups (refreshed_at_ms);
CREATE INDEX stored_backups_by_media_refresh ON stored_backups (media_refreshed_at_ms);

-- Folders that nobody can reach any more, until their objects are deleted.
CREATE TABLE discarded_backup_folders (
  folder TEXT PRIMARY KEY
);
