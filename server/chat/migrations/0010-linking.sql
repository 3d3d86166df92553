-- Link tokens that were used, and for which device: an hour long, so that whoever waits for it finds it.
CREATE TABLE used_link_tokens (
  aci BYTEA NOT NULL,
  token_id BYTEA NOT NULL,
  device_id INTEGER NOT NULL,
  device_created_at_ms BIGINT NOT NULL,
  expires_at_ms BIGINT NOT NULL,
  PRIMARY KEY (aci, token_id)
);

-- What the primary device says of the archive that it made for a new device: where it is, or why there is none.
CREATE TABLE transfer_archives (
  aci BYTEA NOT NULL,
  device_id INTEGER NOT NULL,
  registration_id INTEGER NOT NULL,
  cdn INTEGER,
  archive_key TEXT,
  error TEXT,
  expires_at_ms BIGINT NOT NULL,
  PRIMARY KEY (aci, device_id, registration_id)
);

-- How a new device wants to get the account's data; the token is known to it and to the old one.
CREATE TABLE restore_requests (
  token TEXT PRIMARY KEY,
  method TEXT NOT NULL,
  bootstrap BYTEA,
  expires_at_ms BIGINT NOT NULL
);
