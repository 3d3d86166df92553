-- Who carries the newest code, and what became of it (verification/store.ts).
ALTER TABLE verification_sessions ADD COLUMN delivery TEXT NOT NULL DEFAULT '';
ALTER TABLE verification_sessions ADD COLUMN sender TEXT NOT NULL DEFAULT '';
ALTER TABLE verification_sessions ADD COLUMN sender_check TEXT NOT NULL DEFAULT '';
ALTER TABLE verification_sessions ADD COLUMN failed_sender TEXT NOT NULL DEFAULT '';

CREATE INDEX verification_sessions_delivery ON verification_sessions (delivery);
