-- How many bytes of each payload a record holds; NULL for the usual number.
ALTER TABLE servers ADD COLUMN payload_limit BIGINT CHECK (payload_limit BETWEEN 256 AND 65536);

-- JSON: the places in payloads that records never show. NULL for none.
ALTER TABLE servers ADD COLUMN redact TEXT COLLATE "C";
