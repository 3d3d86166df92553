-- The signed EC key and the last-resort Kyber key of a device, one pair for each of its account's identities.
CREATE TABLE repeated_use_pre_keys (
  aci BYTEA NOT NULL,
  identity TEXT NOT NULL,
  device_id INTEGER NOT NULL,
  ec_key_id INTEGER NOT NULL,
  ec_public_key BYTEA NOT NULL,
  ec_signature BYTEA NOT NULL,
  kem_key_id INTEGER NOT NULL,
  kem_public_key BYTEA NOT NULL,
  kem_signature BYTEA NOT NULL,
  PRIMARY KEY (aci, identity, device_id)
);

CREATE TABLE one_time_ec_pre_keys (
  aci BYTEA NOT NULL,
  identity TEXT NOT NULL,
  device_id INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  public_key BYTEA NOT NULL,
  PRIMARY KEY (aci, identity, device_id, key_id)
);

CREATE TABLE one_time_kem_pre_keys (
  aci BYTEA NOT NULL,
  identity TEXT NOT NULL,
  device_id INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  public_key BYTEA NOT NULL,
  signature BYTEA NOT NULL,
  PRIMARY KEY (aci, identity, device_id, key_id)
);
