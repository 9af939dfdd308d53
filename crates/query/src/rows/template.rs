//! What similar messages have in common: a template in which `<*>` stands for what differs.
//!
//! A message is cut into tokens at blanks and punctuation. What is a number, an identifier, an address or in
//! quotes is taken for a variable at once. Messages with as many tokens and the same first one are then compared
//! with the templates known so far, as Drain does: the most similar one above a threshold takes the message, and
//! tokens that differ become variables too.

use hashbrown::HashMap;

/// What stands for anything.
pub(super) const ANY: &str = "<*>";
/// Tokens of a message that are looked at; a longer one ends in `…`.
const TOKENS_MAX: usize = 80;
/// Bytes of a message that are looked at.
const BYTES_MAX: usize = 4096;
/// Templates that are compared with one message.
const GROUP_MAX: usize = 64;
/// Templates in all; what fits none of them then is counted as `<*>`.
const TEMPLATES_MAX: usize = 5000;
/// Masked messages whose template is remembered.
const MEMO_MAX: usize = 20_000;

/// Finds the template of each message.
#[derive(Default)]
pub(super) struct Miner {
    templates: Vec<Vec<String>>,
    /// Templates by number of tokens and first token.
    groups: HashMap<(usize, String), Vec<usize>>,
    memo: HashMap<String, usize>,
    /// The template of what fits no other.
    rest: Option<usize>,
}

impl Miner {
    /// The number of the template that takes a message.
    pub(super) fn add(&mut self, message: &str) -> usize {
        let masked = mask(message);
        if let Some(known) = self.memo.get(&masked) {
            return *known;
        }
        let tokens = tokens(&masked);
        let template = self.place(&tokens);
        if self.memo.len() < MEMO_MAX {
            self.memo.insert(masked, template);
        }
        template
    }

    /// The text of a template.
    pub(super) fn text(&self, template: usize) -> String {
        let mut text = String::new();
        for token in &self.templates[template] {
            // Neighbouring variables say no more than one.
            if token != ANY || !text.ends_with(ANY) {
                text.push_str(token);
            }
        }
        text.trim().to_owned()
    }

    fn place(&mut self, tokens: &[&str]) -> usize {
        let first = tokens.iter().find(|token| !is_blank(token)).copied().unwrap_or("");
        let group = self.groups.entry((tokens.len(), first.to_owned())).or_default();
        let mut best: Option<(usize, usize)> = None;
        for &template in group.iter() {
            let same = similarity(&self.templates[template], tokens);
            if best.is_none_or(|(most, _)| same > most) {
                best = Some((same, template));
            }
        }
        let words = tokens.iter().filter(|token| !is_blank(token)).count();
        if let Some((same, template)) = best
            && (same * 10 >= words * 6 || group.len() >= GROUP_MAX)
        {
            for (known, token) in self.templates[template].iter_mut().zip(tokens) {
                if known != token && known != ANY {
                    ANY.clone_into(known);
                }
            }
            return template;
        }
        if self.templates.len() >= TEMPLATES_MAX {
            return *self.rest.get_or_insert_with(|| {
                self.templates.push(vec![ANY.to_owned()]);
                self.templates.len() - 1
            });
        }
        group.push(self.templates.len());
        self.templates.push(tokens.iter().map(|token| (*token).to_owned()).collect());
        self.templates.len() - 1
    }
}

/// Tokens, blanks aside, that are the same or that the template leaves open.
fn similarity(template: &[String], tokens: &[&str]) -> usize {
    let same = |(known, token): &(&String, &&str)| {
        !is_blank(token) && (known.as_str() == **token || known.as_str() == ANY && **token != ANY)
    };
    template.iter().zip(tokens).filter(same).count()
        + template.iter().zip(tokens).filter(|(known, token)| known.as_str() == ANY && **token == ANY).count()
}

fn is_blank(token: &str) -> bool {
    token.chars().all(|c| !c.is_alphanumeric()) && token != ANY
}

/// Words, variables, and what stands between them, in order.
fn tokens(masked: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = masked;
    while !rest.is_empty() && tokens.len() < TOKENS_MAX {
        let len = if rest.starts_with(ANY) {
            ANY.len()
        } else {
            let in_word = is_word(rest.chars().next().unwrap_or(' '));
            let ends = |at: usize, c: char| is_word(c) != in_word || at > 0 && rest[at..].starts_with(ANY);
            rest.char_indices().find(|(at, c)| ends(*at, *c)).map_or(rest.len(), |(at, _)| at)
        };
        let (token, behind) = rest.split_at(len);
        tokens.push(token);
        rest = behind;
    }
    if !rest.is_empty() {
        tokens.push("…");
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '\'')
}

/// The message with variables in place of what is plainly one.
pub(super) fn mask(message: &str) -> String {
    let message = message.get(..message.floor_char_boundary(BYTES_MAX)).unwrap_or(message);
    let mut masked = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(c) = rest.chars().next() {
        if matches!(c, '"' | '\'' | '`')
            && !masked.chars().next_back().is_some_and(char::is_alphanumeric)
            && let Some(end) = rest[1..].find(c)
        {
            masked.push(c);
            masked.push_str(ANY);
            masked.push(c);
            rest = &rest[end + 2..];
        } else if is_part(c) {
            let len = rest.char_indices().find(|(_, c)| !is_part(*c)).map_or(rest.len(), |(at, _)| at);
            // A full stop ends a sentence, not a word.
            let word = rest[..len].trim_end_matches(['.', ':', '/', '-', '+']);
            let word = if word.is_empty() { &rest[..len] } else { word };
            push_word(&mut masked, word);
            rest = &rest[word.len()..];
        } else {
            masked.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    masked
}

/// Characters of words, numbers, identifiers, addresses, times and paths.
fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/' | '+' | '@' | '%')
}

/// A word, or a variable where it looks like one; a path keeps its parts that do not.
fn push_word(masked: &mut String, word: &str) {
    if word.contains('/') && !word.starts_with(|c: char| c.is_ascii_digit()) {
        for (i, part) in word.split('/').enumerate() {
            if i > 0 {
                masked.push('/');
            }
            masked.push_str(if is_variable(part) { ANY } else { part });
        }
    } else if let Some((name, value)) = word.split_once(':')
        && !name.is_empty()
        && !is_variable(name)
        && is_variable(value)
    {
        masked.push_str(name);
        masked.push(':');
        masked.push_str(ANY);
    } else {
        masked.push_str(if is_variable(word) { ANY } else { word });
    }
}

/// True for what has a digit, unless it is a name with a short number behind it, such as `http2` or `utf-8`; and
/// for mail addresses.
fn is_variable(word: &str) -> bool {
    if word.contains('@') {
        return word.len() > 1;
    }
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return false;
    }
    let name = word.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphabetic() || c == '-');
    let is_hex = word.len() >= 6 && word.bytes().all(|c| c.is_ascii_hexdigit());
    !(is_name && digits == 1 && name.len() > 1) || is_hex
}
