-- Who people are in a workspace and in the organization, and who acted.

-- As in 0003: a CHECK cannot be changed, so the column is made anew. `sign_in`: made by the company's sign-in.
ALTER TABLE members ADD COLUMN new_origin TEXT NOT NULL DEFAULT 'api'
    CHECK (new_origin IN ('config', 'api', 'sign_in'));
UPDATE members SET new_origin = origin;
ALTER TABLE members DROP COLUMN origin;
ALTER TABLE members RENAME COLUMN new_origin TO origin;
ALTER TABLE members ADD COLUMN role TEXT NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'manager'));
-- The company's sign-in has made it and says so no longer.
ALTER TABLE members ADD COLUMN lapsed INTEGER NOT NULL DEFAULT 0 CHECK (lapsed IN (0, 1));

CREATE TABLE administrators (
    id TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin')),
    origin TEXT NOT NULL CHECK (origin IN ('config', 'api', 'sign_in')),
    revision INTEGER NOT NULL,
    UNIQUE (issuer, subject)
) STRICT;

-- Who made a key; both are null for the admin token.
ALTER TABLE api_keys ADD COLUMN made_by_issuer TEXT;
ALTER TABLE api_keys ADD COLUMN made_by_subject TEXT;
CREATE INDEX api_keys_by_maker ON api_keys (made_by_issuer, made_by_subject);

DROP TRIGGER audit_is_not_changed;
ALTER TABLE audit ADD COLUMN new_actor TEXT NOT NULL DEFAULT 'system'
    CHECK (new_actor IN ('admin_token', 'configuration', 'sign_in', 'member', 'person', 'system'));
UPDATE audit SET new_actor = actor;
ALTER TABLE audit DROP COLUMN actor;
ALTER TABLE audit RENAME COLUMN new_actor TO actor;
-- Who it was, if the actor is a person.
ALTER TABLE audit ADD COLUMN actor_issuer TEXT;
ALTER TABLE audit ADD COLUMN actor_subject TEXT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit log only grows'); END;
