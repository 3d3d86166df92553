-- Groups as their members encrypted them: which accounts are in one is in no column, and nowhere else.
CREATE TABLE group_states (
  group_id BYTEA PRIMARY KEY,
  version BIGINT NOT NULL,
  state BYTEA NOT NULL
);
-- One row for each version: what led to it, as it was signed, and the group as it was then.
CREATE TABLE group_changes (
  group_id BYTEA NOT NULL,
  version BIGINT NOT NULL,
  change BYTEA NOT NULL,
  change_epoch INTEGER NOT NULL,
  state BYTEA NOT NULL,
  PRIMARY KEY (group_id, version)
);
