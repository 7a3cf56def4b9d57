-- For how many seconds the workspace may be served while no filter hears from the service; NULL leaves that to the filter.
ALTER TABLE workspaces ADD COLUMN staleness BIGINT CHECK (staleness BETWEEN 0 AND 300);
