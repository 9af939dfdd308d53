//! Step 4 of the shared part: keys see what whoever created them sees.

use db::Migration;

pub(super) const KEY_SELECTORS: Migration = Migration {
    version: 4,
    name: "selectors of keys",
    up: "
ALTER TABLE api_keys ADD COLUMN selector TEXT;
",
    down: "
-- The program before would show such keys everything.
DELETE FROM api_keys WHERE selector IS NOT NULL;
ALTER TABLE api_keys DROP COLUMN selector;
",
};
