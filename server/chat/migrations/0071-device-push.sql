-- When the device's way to be woken was set, and a way that is neither Apple's nor Google's (JSON).
ALTER TABLE devices ADD COLUMN push_set_at_ms BIGINT;
ALTER TABLE devices ADD COLUMN web_push TEXT;
