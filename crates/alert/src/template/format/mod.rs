//! Values as text, as Go's fmt writes them.

mod float; // numbers with and without exponent
mod layout; // points in time by layout, spans of time
mod quote; // strings in quotes
mod verbs; // printf
mod walk; // lists, maps and structs

pub(super) use float::general;
pub(super) use layout::{TIME, duration, time};
pub(super) use verbs::printf;
pub(super) use walk::{print, show, write};

/// A text that stops growing at its limit: a template's own texts are bounded while they are made, not afterwards.
#[derive(Debug)]
pub(super) struct Sink {
    text: String,
    limit: usize,
    full: bool,
}

/// The text would be longer than its limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full;

impl Sink {
    pub(super) fn new(limit: usize) -> Self {
        Self { text: String::new(), limit, full: false }
    }

    pub(super) fn push_str(&mut self, text: &str) {
        if self.full || self.text.len() + text.len() > self.limit {
            self.full = true;
        } else {
            self.text.push_str(text);
        }
    }

    pub(super) fn push(&mut self, c: char) {
        self.push_str(c.encode_utf8(&mut [0; 4]));
    }

    /// The same character some times over.
    pub(super) fn fill(&mut self, c: char, count: usize) {
        for _ in 0..count {
            if self.full {
                return;
            }
            self.push(c);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn finish(self) -> Result<String, Full> {
        if self.full { Err(Full) } else { Ok(self.text) }
    }
}
