//! Protocols, row by row: statuses, headers and bodies as clients meet them.

mod access; // who may ask what
mod reads; // questions
mod writes; // intakes
