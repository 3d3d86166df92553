-- A profile under one profile key. The fields are ciphertexts. The commitment stays as it was first written.
CREATE TABLE profile_versions (
  aci BYTEA NOT NULL,
  version BYTEA NOT NULL,
  commitment BYTEA NOT NULL,
  name BYTEA,
  about BYTEA,
  about_emoji BYTEA,
  phone_number_sharing BYTEA,
  payment_address BYTEA,
  avatar TEXT,
  data BYTEA,
  data_hash BYTEA,
  PRIMARY KEY (aci, version)
);

-- The version that an account wrote last.
CREATE TABLE current_profiles (
  aci BYTEA PRIMARY KEY,
  version BYTEA NOT NULL
);

-- Where somebody unknown keeps an avatar: the identity is what an avatar credential commits to.
CREATE TABLE avatar_places (
  identity BYTEA PRIMARY KEY,
  object_key TEXT NOT NULL,
  expires_at_ms BIGINT NOT NULL
);
CREATE INDEX avatar_places_by_expiry ON avatar_places (expires_at_ms);

-- Objects that nobody names any more. The file store removes them when they are due.
CREATE TABLE unwanted_avatars (
  object_key TEXT PRIMARY KEY,
  due_at_ms BIGINT NOT NULL
);
CREATE INDEX unwanted_avatars_by_due ON unwanted_avatars (due_at_ms);
