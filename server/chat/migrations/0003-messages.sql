-- What devices have not acknowledged. `device_created_at_ms` keeps a re-linked device from its predecessor's queue.
CREATE TABLE messages (
  aci BYTEA NOT NULL,
  device_id INTEGER NOT NULL,
  device_created_at_ms BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  envelope BYTEA NOT NULL,
  PRIMARY KEY (aci, device_id, device_created_at_ms, seq)
);
