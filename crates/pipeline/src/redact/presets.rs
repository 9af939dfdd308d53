//! What the presets look for. Where an expression has groups, the one that took part is the secret; a check
//! tells it from what only looks like one.

use regex::Regex;

use super::ours;

/// One thing that is looked for.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) regex: Regex,
    pub(super) check: Option<fn(&str) -> bool>,
}

/// Name, group, expression and check.
type Preset = (&'static str, Group, &'static str, Option<fn(&str) -> bool>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Secrets,
    Personal,
}

use Group::{Personal, Secrets};

/// In the order they are applied: what has a shape of its own first, then what only its surroundings tell.
const PRESETS: &[Preset] = &[
    (
        "private_key",
        Secrets,
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)",
        None,
    ),
    ("jwt", Secrets, r"\beyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?", None),
    ("aws_key", Secrets, r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}\b", None),
    (
        "service_token",
        Secrets,
        concat!(
            r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,}",
            r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{35}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",
            r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})"
        ),
        None,
    ),
    ("url_password", Secrets, r#"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@"']*:([^\s/@"']+)@"#, None),
    (
        "bearer",
        Secrets,
        concat!(
            r#"(?i)\bauthorization\\?["']?\s*[:=]\s*\\?["']?(?:(?:basic|bearer|digest|negotiate|token|apikey)\s+)?"#,
            r#"([^\s"',;\\\[]+)"#
        ),
        None,
    ),
    ("bearer", Secrets, r"(?i)\b(?:bearer|basic)\s+([A-Za-z0-9._~+/=-]{8,})", Some(looks_random)),
    ("password", Secrets, PASSWORD, None),
    (
        "password",
        Secrets,
        r#"(?i)(?:\b|_)(?:token|auth|sid|sessionid|session_id)\\?["']?\s*[:=]\s*\\?["']?([^\s"'&,;\\\[]{8,})"#,
        Some(looks_random),
    ),
    ("email", Personal, r"\b[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b", None),
    (
        "credit_card",
        Personal,
        concat!(
            r"\b(?:[2-6][0-9]{3}[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]{4}",
            r"|3[47][0-9]{2}[ -][0-9]{6}[ -][0-9]{5}|[2-6][0-9]{12,18})\b"
        ),
        Some(is_card),
    ),
    ("iban", Personal, r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", Some(is_iban)),
    ("us_ssn", Personal, r"\b[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}\b", Some(is_ssn)),
    (
        "ipv4",
        Personal,
        r"\b(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\b",
        None,
    ),
];

/// A name that ends like a password's, then `=` or `:`, then a value in any quotes (JSON's inside JSON's too),
/// or one that goes on to the next blank, quote or `&`.
const PASSWORD: &str = concat!(
    r#"(?i)(?:passwords?|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|private[_-]?key|secret[_-]?key"#,
    r#"|access[_-]?token|refresh[_-]?token|auth[_-]?token|id[_-]?token|session[_-]?token|credentials?)"#,
    r#"\\?["']?\s*(?:=>|[:=])\s*"#,
    r#"(?:\\"([^"\\]+)|"((?:[^"\\]|\\.)+)|'([^']+)|([^\s"'&\\\[][^\s"'&\\]*))"#
);

/// The rules of a preset or of a group of presets; `None` for an unknown name.
pub(super) fn named(name: &str) -> Option<Vec<Rule>> {
    let wanted = |preset: &&Preset| match name {
        "all" => true,
        "secrets" => preset.1 == Secrets,
        "personal" => preset.1 == Personal,
        name => preset.0 == name,
    };
    let rules: Vec<Rule> = PRESETS
        .iter()
        .filter(wanted)
        .map(|(name, _, pattern, check)| Rule { name, regex: ours(pattern), check: *check })
        .collect();
    (!rules.is_empty()).then_some(rules)
}

/// All names, for a message.
pub(super) fn names() -> String {
    let mut names = vec!["all", "secrets", "personal"];
    for (name, ..) in PRESETS {
        if !names.contains(name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// Whether an attribute of this name holds a secret: the last part of a dotted name decides.
pub(super) fn is_secret_key(key: &str) -> bool {
    const ENDINGS: [&str; 17] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "apikey",
        "accesskey",
        "privatekey",
        "secretkey",
        "accesstoken",
        "refreshtoken",
        "authtoken",
        "idtoken",
        "sessiontoken",
        "authorization",
        "cookie",
        "credentials",
        "credential",
    ];
    let last = normal(key.rsplit('.').next().unwrap_or(key));
    matches!(last.as_str(), "token" | "pwd" | "pass") || ENDINGS.iter().any(|ending| last.ends_with(ending))
}

/// A name without case and separators.
pub(super) fn normal(key: &str) -> String {
    key.chars().filter(|c| c.is_alphanumeric() || *c == '.').flat_map(char::to_lowercase).collect()
}

/// Words of prose have no digit, and no capital behind their first letter.
fn looks_random(text: &str) -> bool {
    let mixed = || {
        text.bytes().skip(1).any(|b| b.is_ascii_uppercase()) && text.bytes().any(|b| b.is_ascii_lowercase())
    };
    text.bytes().any(|b| b.is_ascii_digit()) || mixed()
}

/// First four digits, from and to, and lengths of the numbers that card networks give out.
const CARDS: [(u32, u32, &[usize]); 18] = [
    (3000, 3059, &[14]),
    (3400, 3499, &[15]),
    (3528, 3589, &[16, 17, 18, 19]),
    (3600, 3699, &[14]),
    (3700, 3799, &[15]),
    (3800, 3999, &[14]),
    (4000, 4999, &[13, 16, 19]),
    (5000, 5099, &[13, 14, 15, 16, 17, 18, 19]),
    (5100, 5599, &[16]),
    (5600, 5899, &[13, 14, 15, 16, 17, 18, 19]),
    (2221, 2720, &[16]),
    (6011, 6011, &[16, 17, 18, 19]),
    (6200, 6299, &[16, 17, 18, 19]),
    (6300, 6399, &[13, 14, 15, 16, 17, 18, 19]),
    (6440, 6599, &[16, 17, 18, 19]),
    (6700, 6799, &[13, 14, 15, 16, 17, 18, 19]),
    (6000, 6010, &[16]),
    (6012, 6099, &[16]),
];

/// A number that a card network gives out: its beginning, its length, and the check digit (Luhn).
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let start = digits.iter().take(4).fold(0, |number, digit| 10 * number + digit);
    let mut networks = CARDS.iter().filter(|(first, last, _)| (*first..=*last).contains(&start));
    let plausible = networks.any(|(_, _, lengths)| lengths.contains(&digits.len()));
    let luhn = digits.iter().rev().enumerate().map(|(i, digit)| match (i % 2, 2 * digit) {
        (0, _) => *digit,
        (_, double) => double / 10 + double % 10,
    });
    plausible && luhn.sum::<u32>() % 10 == 0
}

/// ISO 13616's check: the number with its front moved to the end is 1 modulo 97.
fn is_iban(text: &str) -> bool {
    let compact: Vec<u32> = text.chars().filter(|c| *c != ' ').filter_map(|c| c.to_digit(36)).collect();
    if !(15..=34).contains(&compact.len()) {
        return false;
    }
    let moved = compact[4..].iter().chain(&compact[..4]);
    moved.fold(0, |rest, digit| if *digit > 9 { (rest * 100 + digit) % 97 } else { (rest * 10 + digit) % 97 })
        == 1
}

/// Areas 000 and 666, group 00 and serial 0000 are never given out.
fn is_ssn(text: &str) -> bool {
    !text.starts_with("000") && !text.starts_with("666") && !text.contains("-00-") && !text.ends_with("-0000")
}
