//! Step 5 of the shared part: through which provider a session or tokens were begun, and who handed out a way in, so
//! that what came from somewhere ends with it. Of rows from before that is not known.

use db::Migration;

pub(super) const ORIGINS: Migration = Migration {
    version: 5,
    name: "where sessions, tokens, invitations and links come from",
    up: "
ALTER TABLE sessions ADD COLUMN provider_id TEXT NOT NULL DEFAULT '';
ALTER TABLE token_families ADD COLUMN method TEXT NOT NULL DEFAULT '';
ALTER TABLE token_families ADD COLUMN provider_id TEXT NOT NULL DEFAULT '';
ALTER TABLE invitations ADD COLUMN invited_by_id TEXT NOT NULL DEFAULT '';
ALTER TABLE sign_in_links ADD COLUMN made_by_id TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_provider ON sessions (provider_id);
CREATE INDEX token_families_provider ON token_families (provider_id);
CREATE INDEX invitations_by ON invitations (invited_by_id);
CREATE INDEX sign_in_links_by ON sign_in_links (made_by_id);
",
    down: "
DROP INDEX sign_in_links_by;
DROP INDEX invitations_by;
DROP INDEX token_families_provider;
DROP INDEX sessions_provider;
ALTER TABLE sign_in_links DROP COLUMN made_by_id;
ALTER TABLE invitations DROP COLUMN invited_by_id;
ALTER TABLE token_families DROP COLUMN provider_id;
ALTER TABLE token_families DROP COLUMN method;
ALTER TABLE sessions DROP COLUMN provider_id;
",
};
