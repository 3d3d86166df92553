-- Who reported an account lately, each reporter once, as a keyed hash that only this server can make.
CREATE TABLE message_reports (
  aci BYTEA NOT NULL,
  reporter BYTEA NOT NULL,
  expires_at_ms BIGINT NOT NULL,
  PRIMARY KEY (aci, reporter)
);
