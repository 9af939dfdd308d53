//! The tokens of a slice's blocks.

use arrow_array::cast::AsArray;
use arrow_array::{Array, FixedSizeBinaryArray, StringViewArray};
use model::record::columns;

use super::gather::Gathered;
use super::layout::Layout;
use crate::rows::chunk::{Scope, ValueKind};
use crate::rows::json;
use crate::rows::probe::{FixedTokens, fixed_tokens};
use crate::rows::slice::BLOCK_ROWS;
use crate::rows::tokens::{KeyTokens, TokenSet, lower_into, word_token, words_of_lower};

/// A column with tokens.
enum Source<'a> {
    /// Words without salt.
    Words(&'a StringViewArray),
    /// Values and their words.
    Attr(KeyTokens, &'a StringViewArray),
    /// Identifiers.
    Id(KeyTokens, &'a FixedSizeBinaryArray),
    /// Attributes without a column, by the texts that show them.
    Overflow(&'a StringViewArray),
}

/// The distinct tokens of each block of a slice.
pub(crate) fn of_blocks(layout: &Layout, slice: &Gathered) -> Vec<Vec<u64>> {
    let sources = sources(layout, slice);
    let mut set = TokenSet::default();
    let mut lowered = String::new();
    let block = |start: usize| {
        let rows = start..(start + BLOCK_ROWS).min(slice.rows);
        for source in &sources {
            match source {
                Source::Words(texts) => each_text(texts, rows.clone(), |text| {
                    lower_into(text, &mut lowered);
                    words_of_lower(&lowered, |word| {
                        set.insert(word_token(word));
                    });
                }),
                Source::Attr(key, texts) => each_text(texts, rows.clone(), |text| {
                    add_value(&mut set, *key, text, &mut lowered);
                }),
                Source::Id(key, ids) => {
                    for row in rows.clone().filter(|row| ids.is_valid(*row)) {
                        set.insert(key.value(ids.value(row)));
                    }
                }
                Source::Overflow(texts) => each_text(texts, rows.clone(), |text| {
                    for scope in [Scope::Record, Scope::Resource] {
                        for (key, raw) in json::overflow_members(text, scope) {
                            if let Some(value) = json::value(raw) {
                                add_value(&mut set, KeyTokens::new(&key), &value.shown(), &mut lowered);
                            }
                        }
                    }
                }),
            }
        }
        set.take()
    };
    (0..slice.rows).step_by(BLOCK_ROWS).map(block).collect()
}

fn sources<'a>(layout: &Layout, slice: &'a Gathered) -> Vec<Source<'a>> {
    let mut sources = Vec::new();
    let fixed = columns(layout.signal).len();
    for (at, array) in slice.arrays.iter().enumerate() {
        if at < fixed {
            match (
                fixed_tokens(layout.signal, at),
                array.as_string_view_opt(),
                array.as_fixed_size_binary_opt(),
            ) {
                (FixedTokens::Words, Some(texts), _) => sources.push(Source::Words(texts)),
                (FixedTokens::Attr(key), Some(texts), _) => sources.push(Source::Attr(key, texts)),
                (FixedTokens::Id(key), _, Some(ids)) => sources.push(Source::Id(key, ids)),
                _ => {}
            }
        } else if let Some(texts) = array.as_string_view_opt() {
            match layout.attrs.get(at - fixed) {
                Some(attr) if attr.kind == ValueKind::Text => {
                    sources.push(Source::Attr(KeyTokens::new(&attr.key), texts));
                }
                Some(_) => {}
                None => sources.push(Source::Overflow(texts)),
            }
        }
    }
    sources
}

/// A value and its words. The words of a value that the block has already are there, too.
fn add_value(set: &mut TokenSet, key: KeyTokens, text: &str, lowered: &mut String) {
    if set.insert(key.value(text.as_bytes())) {
        lower_into(text, lowered);
        words_of_lower(lowered, |word| {
            set.insert(key.word(word));
        });
    }
}

/// The texts of some rows, without those that only repeat the one before.
fn each_text(texts: &StringViewArray, rows: std::ops::Range<usize>, mut each: impl FnMut(&str)) {
    if texts.null_count() == texts.len() {
        return;
    }
    let views = texts.views();
    let mut last = None;
    for row in rows {
        if texts.is_valid(row) && last != Some(views[row]) {
            each(texts.value(row));
            last = Some(views[row]);
        }
    }
}
