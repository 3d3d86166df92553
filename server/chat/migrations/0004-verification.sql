CREATE TABLE verification_sessions (
  id TEXT PRIMARY KEY,
  e164 TEXT NOT NULL,
  expires_at_ms BIGINT NOT NULL,
  sms_sent INTEGER NOT NULL,
  voice_sent INTEGER NOT NULL,
  last_sms_at_ms BIGINT NOT NULL,
  last_voice_at_ms BIGINT NOT NULL,
  code_digest BYTEA,
  code_expires_at_ms BIGINT NOT NULL,
  attempts_left INTEGER NOT NULL,
  verified INTEGER NOT NULL
);
