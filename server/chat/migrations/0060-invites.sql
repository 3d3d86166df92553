-- Who holds the link may come in. Of the secret in it only the hash is kept; `number` is for whom the invite was made.
CREATE TABLE invites (
  invite_id TEXT PRIMARY KEY,
  secret_hash BYTEA NOT NULL,
  created_at_ms BIGINT NOT NULL,
  expires_at_ms BIGINT NOT NULL,
  uses INTEGER NOT NULL,
  uses_left INTEGER NOT NULL,
  number TEXT,
  note TEXT NOT NULL
);

-- Six digits that an invite stands behind, good for one number and for a few tries.
CREATE TABLE invite_codes (
  e164 TEXT NOT NULL,
  invite_id TEXT NOT NULL,
  code_digest BYTEA NOT NULL,
  attempts_left INTEGER NOT NULL,
  expires_at_ms BIGINT NOT NULL,
  PRIMARY KEY (e164, invite_id)
);

-- Verification sessions that were proven by such digits, and not by a code that was sent.
CREATE TABLE invite_sessions (
  session_id TEXT PRIMARY KEY,
  invite_id TEXT NOT NULL,
  expires_at_ms BIGINT NOT NULL
);

-- What the operator switched by hand, for every process on this database.
CREATE TABLE registration_switches (
  name TEXT PRIMARY KEY,
  since_ms BIGINT NOT NULL
);
