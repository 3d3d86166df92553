-- Pictures of groups that may be nobody's when they are due. One that is claimed is being removed.
CREATE TABLE doubtful_group_avatars (
  group_id BYTEA NOT NULL,
  object_key TEXT NOT NULL,
  due_at_ms BIGINT NOT NULL,
  claimed INTEGER NOT NULL,
  PRIMARY KEY (group_id, object_key)
);
CREATE INDEX doubtful_group_avatars_by_due ON doubtful_group_avatars (due_at_ms);
