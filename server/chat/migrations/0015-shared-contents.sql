-- What many copies of one message have in common is kept once: a copy that names it continues with it. Without a copy it goes.
CREATE TABLE shared_contents (
  id BYTEA PRIMARY KEY,
  shared_seq BIGINT NOT NULL,
  content BYTEA NOT NULL
);

ALTER TABLE messages ADD COLUMN shared_id BYTEA;
CREATE INDEX messages_by_shared_id ON messages (shared_id) WHERE shared_id IS NOT NULL;
