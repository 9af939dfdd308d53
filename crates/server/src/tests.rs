//! Protocols, row by row: statuses, headers and bodies as clients meet them.

mod access; // who may ask what
mod as_code; // sets of objects from files
mod identity; // signing in, tokens, accounts
mod people; // of tests
mod reads; // questions
mod tenants; // tenants and roles
mod writes; // intakes
