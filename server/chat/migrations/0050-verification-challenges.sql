ALTER TABLE verification_sessions ADD COLUMN wants_captcha INTEGER NOT NULL DEFAULT 0;
ALTER TABLE verification_sessions ADD COLUMN wants_push INTEGER NOT NULL DEFAULT 0;
ALTER TABLE verification_sessions ADD COLUMN pushes_sent INTEGER NOT NULL DEFAULT 0;
