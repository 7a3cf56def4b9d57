-- Who people are in a workspace and in the organization, and who acted.

-- `sign_in`: made by the company's sign-in.
ALTER TABLE members DROP CONSTRAINT members_origin_check;
ALTER TABLE members ADD CONSTRAINT members_origin_check CHECK (origin IN ('config', 'api', 'sign_in'));
ALTER TABLE members ADD COLUMN role TEXT COLLATE "C" NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'manager'));
-- The company's sign-in has made it and says so no longer.
ALTER TABLE members ADD COLUMN lapsed BIGINT NOT NULL DEFAULT 0 CHECK (lapsed IN (0, 1));

CREATE TABLE administrators (
    id TEXT COLLATE "C" PRIMARY KEY,
    issuer TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    role TEXT COLLATE "C" NOT NULL CHECK (role IN ('owner', 'admin')),
    origin TEXT COLLATE "C" NOT NULL CHECK (origin IN ('config', 'api', 'sign_in')),
    revision BIGINT NOT NULL,
    UNIQUE (issuer, subject)
);

-- Who made a key; both are null for the admin token.
ALTER TABLE api_keys ADD COLUMN made_by_issuer TEXT COLLATE "C";
ALTER TABLE api_keys ADD COLUMN made_by_subject TEXT COLLATE "C";
CREATE INDEX api_keys_by_maker ON api_keys (made_by_issuer, made_by_subject);

ALTER TABLE audit DROP CONSTRAINT audit_actor_check;
ALTER TABLE audit ADD CONSTRAINT audit_actor_check
    CHECK (actor IN ('admin_token', 'configuration', 'sign_in', 'member', 'person', 'system'));
-- Who it was, if the actor is a person.
ALTER TABLE audit ADD COLUMN actor_issuer TEXT COLLATE "C";
ALTER TABLE audit ADD COLUMN actor_subject TEXT COLLATE "C";
