-- When a data key was made known to the replicas, when it began to seal, and, of one that no longer seals, when nothing
-- was left that it had sealed. NULL: the first key had nobody to wait for; the others, not yet.
ALTER TABLE data_keys ADD COLUMN published_at INTEGER;
ALTER TABLE data_keys ADD COLUMN active_from INTEGER;
ALTER TABLE data_keys ADD COLUMN resealed_at INTEGER;
