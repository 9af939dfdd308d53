//! Step 3 of the shared part: signing keys and tokens, single sign-on, heads of the audit chains.

use db::Migration;

pub(super) const TOKENS: Migration = Migration {
    version: 3,
    name: "tokens, single sign-on and audit heads",
    up: "
CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    -- Sealed PKCS#8 under the purpose signing_key/<kid>.
    private TEXT NOT NULL,
    -- Modulus and exponent as a JWK spells them.
    n TEXT NOT NULL,
    e TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    signs_until BIGINT NOT NULL,
    verifies_until BIGINT NOT NULL
);
-- Of two nodes that rotate at once one wins.
CREATE UNIQUE INDEX signing_keys_current ON signing_keys (state) WHERE state = 'current';

CREATE TABLE token_families (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    tenant_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_why TEXT,
    bound_address TEXT NOT NULL,
    bound_agent TEXT NOT NULL
);
CREATE INDEX token_families_user ON token_families (user_id, created_at);
CREATE INDEX token_families_expires ON token_families (expires_at);
CREATE TABLE refresh_tokens (
    hash TEXT PRIMARY KEY,
    family TEXT NOT NULL REFERENCES token_families (id) ON DELETE CASCADE,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_expires ON refresh_tokens (expires_at);
CREATE TABLE token_issues (
    user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    window_start BIGINT NOT NULL,
    issued BIGINT NOT NULL
);

-- What every node must learn within a second. The counter's row is locked until its transaction ends, so
-- that numbers become visible in order and a node that read up to one has missed none below it.
CREATE TABLE token_news_last (
    one BIGINT PRIMARY KEY,
    seq BIGINT NOT NULL
);
INSERT INTO token_news_last (one, seq) VALUES (1, 0);
CREATE TABLE token_news (
    seq BIGINT PRIMARY KEY,
    -- token (a jti), family, or keys.
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX token_news_expires ON token_news (expires_at);

CREATE TABLE sso_providers (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    config TEXT NOT NULL,
    -- The client secret, sealed under the purpose sso_provider/<id>; empty when there is none.
    secret TEXT NOT NULL,
    role_mapping TEXT NOT NULL,
    default_role TEXT,
    domains TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (tenant_id, name)
);
CREATE TABLE sso_states (
    hash TEXT PRIMARY KEY,
    provider_id TEXT NOT NULL REFERENCES sso_providers (id) ON DELETE CASCADE,
    -- Of the cookie that binds the state to a browser.
    browser_hash TEXT NOT NULL,
    -- Sealed under the purpose sso_state/<hash>: nonce, verifier or request id, and where to go after.
    private TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sso_states_provider ON sso_states (provider_id, expires_at);
CREATE INDEX sso_states_expires ON sso_states (expires_at);
CREATE TABLE sso_identities (
    provider_id TEXT NOT NULL REFERENCES sso_providers (id) ON DELETE CASCADE,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    PRIMARY KEY (provider_id, subject)
);
CREATE INDEX sso_identities_user ON sso_identities (user_id);
CREATE TABLE saml_replays (
    provider_id TEXT NOT NULL REFERENCES sso_providers (id) ON DELETE CASCADE,
    assertion_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (provider_id, assertion_id)
);
CREATE INDEX saml_replays_expires ON saml_replays (expires_at);

-- The newest row of each chain on each day: enough to see that the end was cut off, few enough to keep.
CREATE TABLE audit_heads (
    tenant_id TEXT NOT NULL,
    node TEXT NOT NULL,
    day BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, node, day)
);
",
    down: "
DROP TABLE audit_heads;
DROP TABLE saml_replays;
DROP TABLE sso_identities;
DROP TABLE sso_states;
DROP TABLE sso_providers;
DROP TABLE token_news;
DROP TABLE token_news_last;
DROP TABLE token_issues;
DROP TABLE refresh_tokens;
DROP TABLE token_families;
DROP TABLE signing_keys;
",
};
