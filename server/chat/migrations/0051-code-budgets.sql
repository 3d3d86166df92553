-- How many codes went where. No number and no address stands here: their keys are hashes under a secret of the server.
CREATE TABLE code_budgets (
  key TEXT PRIMARY KEY,
  hour_ends_at_ms BIGINT NOT NULL,
  hour_count INTEGER NOT NULL,
  day_ends_at_ms BIGINT NOT NULL,
  day_count INTEGER NOT NULL
);

CREATE INDEX code_budgets_end ON code_budgets (day_ends_at_ms);

-- Of the codes that were sent to a prefix within the same minutes, how many were entered.
CREATE TABLE code_cohorts (
  prefix TEXT NOT NULL,
  transport TEXT NOT NULL,
  cohort_ms BIGINT NOT NULL,
  sent INTEGER NOT NULL,
  entered INTEGER NOT NULL,
  PRIMARY KEY (prefix, transport, cohort_ms)
);

-- A prefix is open while closed_until_ms is 0; after that time it has trials.
CREATE TABLE code_breakers (
  prefix TEXT NOT NULL,
  transport TEXT NOT NULL,
  closed_until_ms BIGINT NOT NULL,
  pause_ms BIGINT NOT NULL,
  counted_from_ms BIGINT NOT NULL,
  trials INTEGER NOT NULL,
  last_code_at_ms BIGINT NOT NULL,
  PRIMARY KEY (prefix, transport)
);

ALTER TABLE verification_sessions ADD COLUMN code_transport TEXT NOT NULL DEFAULT '';
ALTER TABLE verification_sessions ADD COLUMN code_sent_at_ms BIGINT NOT NULL DEFAULT 0;
