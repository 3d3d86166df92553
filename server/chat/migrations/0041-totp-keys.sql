-- Secrets of one-time passwords. `last_step`: the newest step whose password was accepted; none is accepted twice.
CREATE TABLE totp_keys (
  aci BYTEA NOT NULL,
  key_id INTEGER NOT NULL,
  secret BYTEA NOT NULL,
  metadata BYTEA NOT NULL,
  last_step BIGINT NOT NULL,
  PRIMARY KEY (aci, key_id)
);

-- Generated, and not confirmed yet.
CREATE TABLE pending_totp_keys (
  aci BYTEA PRIMARY KEY,
  secret BYTEA NOT NULL,
  created_at_ms BIGINT NOT NULL
);
