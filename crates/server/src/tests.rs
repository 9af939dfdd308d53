//! Protocols, row by row: statuses, headers and bodies as clients meet them.

mod access; // who may ask what
mod as_code; // sets of objects from files
mod browser; // what browsers are told, other sites, cookies
mod chain; // the steps of every request
mod identity; // signing in, tokens, accounts
mod incidents; // who may work on them, and what strangers see
mod limits; // what a tenant keeps
mod objects; // versions and pages
mod openapi; // the description
mod people; // of tests
mod reads; // questions
mod selectors; // roles that see a part
mod sensitive; // what is sensitive is written down
mod tenancy; // tenants keep apart, and go for good
mod tenants; // tenants and roles
mod writes; // intakes
