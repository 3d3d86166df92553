-- Challenges that were answered and tokens that were looked at: neither counts again. Gone after they would have expired.
CREATE TABLE captcha_spent (
  site TEXT NOT NULL,
  spent_id BYTEA NOT NULL,
  expires_at_ms BIGINT NOT NULL,
  PRIMARY KEY (site, spent_id)
);
CREATE INDEX captcha_spent_expires_at ON captcha_spent (expires_at_ms);
