//! What the block filters of a segment hold: words of texts, values of attributes, and identifiers, as hashes.
//!
//! A word is a maximal run of letters, digits and `_` of the text in lower case. Lower case is taken character
//! by character, so that a part of a text is lowered like the whole. The hashes are part of the file format.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Sets words of an attribute apart from its whole values.
const WORD_SALT: u64 = 0x9b05_688c_2b3e_6c1f;

/// Lower-case form of each ASCII byte that belongs to a word; zero for the others.
const WORD_BYTES: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// True for characters that belong to a word.
pub(crate) fn is_word_char(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Puts the text in lower case, character by character, into `out`.
pub(crate) fn lower_into(text: &str, out: &mut String) {
    out.clear();
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// The text in lower case, character by character.
pub(crate) fn lower(text: &str) -> String {
    let mut out = String::new();
    lower_into(text, &mut out);
    out
}

/// The ranges of the words of a text that is in lower case already.
pub(crate) fn words_of_lower<'a>(text: &'a str, mut each: impl FnMut(&'a str)) {
    if text.is_ascii() {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            if WORD_BYTES[usize::from(bytes[at] & 0x7f)] == 0 {
                at += 1;
                continue;
            }
            let start = at;
            while at < bytes.len() && WORD_BYTES[usize::from(bytes[at] & 0x7f)] != 0 {
                at += 1;
            }
            each(&text[start..at]);
        }
    } else {
        text.split(|c| !is_word_char(c)).filter(|word| !word.is_empty()).for_each(each);
    }
}

/// Hash of a word of a message or a name.
pub(crate) fn word_token(word: &str) -> u64 {
    xxh3_64(word.as_bytes())
}

/// Hashes of one key: an attribute's, or the name of a fixed column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyTokens {
    seed: u64,
}

impl KeyTokens {
    pub(crate) fn new(key: &str) -> Self {
        Self { seed: xxh3_64(key.as_bytes()) }
    }

    /// Hash of a whole value: a text's bytes or an identifier.
    pub(crate) fn value(self, value: &[u8]) -> u64 {
        xxh3_64_with_seed(value, self.seed)
    }

    /// Hash of a word of a value.
    pub(crate) fn word(self, word: &str) -> u64 {
        xxh3_64_with_seed(word.as_bytes(), self.seed ^ WORD_SALT)
    }
}

/// Distinct tokens of one block.
#[derive(Debug)]
pub(crate) struct TokenSet {
    /// Open addressing; zero is free.
    slots: Vec<u64>,
    tokens: Vec<u64>,
}

const SLOTS_MIN: usize = 1 << 12;
/// Slots that are kept for the next block.
const SLOTS_KEPT: usize = 1 << 17;

impl Default for TokenSet {
    fn default() -> Self {
        Self { slots: vec![0; SLOTS_MIN], tokens: Vec::new() }
    }
}

impl TokenSet {
    /// True when the token was not there yet.
    pub(crate) fn insert(&mut self, token: u64) -> bool {
        let token = token.max(1);
        let mask = self.slots.len() - 1;
        let mut at = token as usize & mask;
        loop {
            match self.slots[at] {
                0 => break,
                there if there == token => return false,
                _ => at = (at + 1) & mask,
            }
        }
        self.slots[at] = token;
        self.tokens.push(token);
        if self.tokens.len() * 2 > self.slots.len() {
            self.grow();
        }
        true
    }

    fn grow(&mut self) {
        let len = self.slots.len() * 4;
        self.slots.clear();
        self.slots.resize(len, 0);
        for &token in &self.tokens {
            let mut at = token as usize & (len - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (len - 1);
            }
            self.slots[at] = token;
        }
    }

    /// The tokens, in no order that matters; the set is empty again.
    pub(crate) fn take(&mut self) -> Vec<u64> {
        if self.slots.len() > SLOTS_KEPT {
            self.slots = vec![0; SLOTS_MIN];
        } else {
            self.slots.fill(0);
        }
        std::mem::take(&mut self.tokens)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        let lowered = lower(text);
        let mut words = Vec::new();
        words_of_lower(&lowered, |word| words.push(word.to_owned()));
        words
    }

    #[test]
    fn words_are_runs_of_letters_digits_and_underscores_in_lower_case() {
        for (text, want) in [
            ("GET /api/v1_users?id=42 -> 500", &["get", "api", "v1_users", "id", "42", "500"][..]),
            ("", &[]),
            ("--", &[]),
            ("Größe=ÜBER", &["größe", "über"]),
            ("İx", &["i", "x"]),
            ("日本語 text", &["日本語", "text"]),
        ] {
            assert_eq!(words(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn ascii_words_are_those_of_the_general_rule(text in "[ -~]{0,60}") {
            let general: Vec<String> =
                text.split(|c| !is_word_char(c)).filter(|w| !w.is_empty()).map(lower).collect();
            prop_assert_eq!(words(&text), general);
        }

        #[test]
        fn a_set_holds_each_token_once(tokens in prop::collection::vec(0u64..5000, 0..9000)) {
            let mut set = TokenSet::default();
            for round in 0..2 {
                let mut want = std::collections::BTreeSet::new();
                for token in &tokens {
                    let token = token * 7 + round;
                    prop_assert_eq!(set.insert(token), want.insert(token.max(1)));
                }
                let mut taken = set.take();
                taken.sort_unstable();
                prop_assert_eq!(taken, want.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
