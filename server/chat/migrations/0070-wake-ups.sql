-- Devices that do not read and have to be woken. `due_at_ms` is NULL while nothing is due; `stage` counts the pushes
-- that went out for what waits now; `version` counts changes that a push under way must not undo.
CREATE TABLE wake_ups (
  aci BYTEA NOT NULL,
  device_id INTEGER NOT NULL,
  device_created_at_ms BIGINT NOT NULL,
  urgent INTEGER NOT NULL,
  stage INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  due_at_ms BIGINT,
  urgent_sent_at_ms BIGINT NOT NULL,
  background_sent_at_ms BIGINT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (aci, device_id, device_created_at_ms)
);
CREATE INDEX wake_ups_due ON wake_ups (due_at_ms);
