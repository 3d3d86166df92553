-- A phone number's identity is made once and for ever, before there is an account.
CREATE TABLE phone_numbers (
  e164 TEXT PRIMARY KEY,
  pni BYTEA NOT NULL
);

-- Who holds a phone number's identity now.
CREATE TABLE account_pnis (
  pni BYTEA PRIMARY KEY,
  aci BYTEA NOT NULL
);

CREATE TABLE accounts (
  aci BYTEA PRIMARY KEY,
  version INTEGER NOT NULL,
  e164 TEXT NOT NULL,
  pni BYTEA NOT NULL,
  aci_identity_key BYTEA NOT NULL,
  pni_identity_key BYTEA NOT NULL,
  unidentified_access_key BYTEA,
  unrestricted_unidentified_access INTEGER NOT NULL,
  discoverable_by_phone_number INTEGER NOT NULL,
  created_at_ms BIGINT NOT NULL
);

CREATE TABLE devices (
  aci BYTEA NOT NULL,
  device_id INTEGER NOT NULL,
  created_at_ms BIGINT NOT NULL,
  auth_salt TEXT NOT NULL,
  auth_hash TEXT NOT NULL,
  registration_id INTEGER NOT NULL,
  pni_registration_id INTEGER NOT NULL,
  name BYTEA,
  capabilities TEXT NOT NULL,
  fetches_messages INTEGER NOT NULL,
  apn_token TEXT,
  fcm_token TEXT,
  user_agent TEXT,
  last_seen_ms BIGINT NOT NULL,
  PRIMARY KEY (aci, device_id)
);
