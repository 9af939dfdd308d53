//! Control plane: keys, sign-in links, sessions and saved objects, with their own tables and migrations.
