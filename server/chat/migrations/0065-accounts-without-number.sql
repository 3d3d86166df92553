-- An account may have no phone number, and then nothing that belongs to one. Neither engine's SQL drops NOT NULL in the other's
-- words: the tables are made anew. The salt takes the PNI's place in the account's credentials.
CREATE TABLE accounts_anew (
  aci BYTEA PRIMARY KEY,
  version INTEGER NOT NULL,
  e164 TEXT,
  pni BYTEA,
  aci_identity_key BYTEA NOT NULL,
  pni_identity_key BYTEA,
  unidentified_access_key BYTEA,
  unrestricted_unidentified_access INTEGER NOT NULL,
  discoverable_by_phone_number INTEGER NOT NULL,
  created_at_ms BIGINT NOT NULL,
  username_hash BYTEA,
  username_link_handle TEXT,
  registration_lock_salt TEXT,
  registration_lock_hash TEXT,
  auth_credential_salt BYTEA
);
INSERT INTO accounts_anew (aci, version, e164, pni, aci_identity_key, pni_identity_key, unidentified_access_key,
    unrestricted_unidentified_access, discoverable_by_phone_number, created_at_ms, username_hash, username_link_handle,
    registration_lock_salt, registration_lock_hash)
  SELECT aci, version, e164, pni, aci_identity_key, pni_identity_key, unidentified_access_key,
    unrestricted_unidentified_access, discoverable_by_phone_number, created_at_ms, username_hash, username_link_handle,
    registration_lock_salt, registration_lock_hash
  FROM accounts;
DROP TABLE accounts;
ALTER TABLE accounts_anew RENAME TO accounts;

CREATE TABLE devices_anew (
  aci BYTEA NOT NULL,
  device_id INTEGER NOT NULL,
  created_at_ms BIGINT NOT NULL,
  auth_salt TEXT NOT NULL,
  auth_hash TEXT NOT NULL,
  registration_id INTEGER NOT NULL,
  pni_registration_id INTEGER,
  name BYTEA,
  capabilities TEXT NOT NULL,
  fetches_messages INTEGER NOT NULL,
  apn_token TEXT,
  fcm_token TEXT,
  user_agent TEXT,
  last_seen_ms BIGINT NOT NULL,
  created_at_ciphertext BYTEA,
  PRIMARY KEY (aci, device_id)
);
INSERT INTO devices_anew (aci, device_id, created_at_ms, auth_salt, auth_hash, registration_id, pni_registration_id, name,
    capabilities, fetches_messages, apn_token, fcm_token, user_agent, last_seen_ms, created_at_ciphertext)
  SELECT aci, device_id, created_at_ms, auth_salt, auth_hash, registration_id, pni_registration_id, name,
    capabilities, fetches_messages, apn_token, fcm_token, user_agent, last_seen_ms, created_at_ciphertext
  FROM devices;
DROP TABLE devices;
ALTER TABLE devices_anew RENAME TO devices;

-- The recovery password of an account without a number: nothing else recovers it, so it does not end.
CREATE TABLE account_recovery_passwords (
  aci BYTEA PRIMARY KEY,
  salt TEXT NOT NULL,
  hash TEXT NOT NULL
);

-- For whose requests an invite gave receipts: the same request may be asked again, and gets the same.
CREATE TABLE invite_receipts (
  invite_id TEXT NOT NULL,
  request_hash BYTEA NOT NULL,
  expiration_seconds BIGINT NOT NULL,
  forget_at_ms BIGINT NOT NULL,
  PRIMARY KEY (invite_id, request_hash)
);

-- Receipts that became accounts, by the hash of their serial, until they end.
CREATE TABLE redeemed_login_receipts (
  serial_hash BYTEA PRIMARY KEY,
  expires_at_ms BIGINT NOT NULL
);
