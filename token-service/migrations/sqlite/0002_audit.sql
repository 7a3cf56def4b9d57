-- Who changed what, written in the transaction of the change. It can only grow.
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL CHECK (actor IN ('admin_token', 'configuration', 'sign_in', 'system')),
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit log only grows'); END;

-- Written now and then, without a revision.
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;
