//! Texts of our own, such as names of severities and attribute keys, copied once per request however many
//! rows have them.

use model::Span;

/// Where the words used so far are.
#[derive(Debug, Default)]
pub(crate) struct Words(Vec<(&'static str, Span)>);

impl Words {
    /// The span of a word; `push` copies it when it is new. There are few, so they are looked through.
    #[inline]
    pub(crate) fn of(&mut self, word: &'static str, push: impl FnOnce(&'static str) -> Span) -> Span {
        match self.0.iter().find(|(known, _)| *known == word) {
            Some((_, span)) => *span,
            None => {
                let span = push(word);
                self.0.push((word, span));
                span
            }
        }
    }
}
