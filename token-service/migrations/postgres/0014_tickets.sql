-- The ticket itself, sealed to (digest, member_id, server_id): whichever replica is asked again gives the same link. NULL:
-- made by a version that did not keep it.
ALTER TABLE connect_tickets ADD COLUMN sealed BYTEA;
