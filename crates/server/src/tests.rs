//! Protocols, row by row: statuses, headers and bodies as clients meet them.

mod access; // who may ask what
mod identity; // signing in, tokens, accounts
mod people; // of tests
mod reads; // questions
mod tenancy; // tenants keep apart, and go for good
mod tenants; // tenants and roles
mod writes; // intakes
