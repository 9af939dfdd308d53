//! Secrets and personal data, taken out of every text of a row before anyone else sees it.
//!
//! Presets find what has a recognisable shape; names of attributes (and of members of JSON) find what has
//! none, such as passwords. A preset rather takes a word too much than leaves half a secret.

mod presets; // what is looked for

use model::{FixedColumn, FixedKind, Records, Value, record};
use regex::{Regex, RegexSet};
use serde_json::Value as Json;

use crate::TEXT_BYTES_MAX;
use crate::config::{ConfigError, Members};
use crate::patterns;
use presets::Rule;

/// Expressions and names of its own that one processor may have.
const OWN_MAX: usize = 64;

/// How much longer a text may get by its marks.
const GROWTH_MAX: usize = 4;
const GROWTH_FREE: usize = 1024;

/// A whole number from here on may be a card's: 13 digits.
const CARD_MIN: i64 = 1_000_000_000_000;

/// A compiled `redact` processor.
#[derive(Clone, Debug)]
pub(crate) struct Redactor {
    /// Tells in one pass which rules need a look.
    set: RegexSet,
    rules: Vec<Rule>,
    /// Names whose values go as a whole, normalised.
    keys: Vec<String>,
    /// Whether the names that usually hold secrets are among them.
    secret_keys: bool,
    replacement: Option<String>,
}

impl Redactor {
    /// Reads `presets`, `patterns`, `keys` and `replacement`. Without any, all presets apply.
    pub(crate) fn new(members: &mut Members<'_>) -> Result<Self, ConfigError> {
        let mut rules = Vec::new();
        let mut secret_keys = false;
        let named = members.texts("presets", OWN_MAX)?;
        let own = members.texts("patterns", OWN_MAX)?;
        let keys = members.texts("keys", OWN_MAX)?;
        let all = named.is_empty() && own.is_empty() && keys.is_empty();
        for (path, name) in named.into_iter().chain(all.then(|| (String::new(), "all"))) {
            let found = presets::named(name).ok_or_else(|| {
                let remedy = format!("is no preset; presets are {}", presets::names());
                ConfigError::new(&path, &name.into(), remedy)
            })?;
            secret_keys |= matches!(name, "all" | "secrets" | "password");
            for rule in found {
                if rules.iter().all(|known: &Rule| known.regex.as_str() != rule.regex.as_str()) {
                    rules.push(rule);
                }
            }
        }
        for (path, pattern) in own {
            let regex = patterns::compile(pattern);
            let regex = regex.map_err(|remedy| ConfigError::new(&path, &pattern.into(), remedy))?;
            rules.push(Rule { name: "pattern", regex, check: None });
        }
        let set = RegexSet::new(rules.iter().map(|rule| rule.regex.as_str()));
        let set =
            set.map_err(|_| members.error("patterns", "are too large together; use fewer or smaller ones"))?;
        Ok(Self {
            set,
            rules,
            keys: keys.into_iter().map(|(_, key)| presets::normal(key)).collect(),
            secret_keys,
            replacement: members.short("replacement")?.map(str::to_owned),
        })
    }

    /// Redacts all texts of a row: columns, attributes, and what JSON holds.
    pub(crate) fn row(&self, records: &mut Records, row: usize) {
        for (column, FixedColumn { kind, .. }) in record::columns(records.signal).iter().enumerate() {
            // Times, numbers and identifiers keep their type, whatever an expression may find in them.
            if !matches!(kind, FixedKind::Text | FixedKind::Json) {
                continue;
            }
            let value = records.fields_of(row)[column];
            if let Some(redacted) = self.value(records, None, value) {
                records.fields_of_mut(row)[column] = redacted;
            }
        }
        let range = records.rows[row].attrs.clone();
        self.attrs(records, range.start as usize..range.end as usize);
    }

    /// Redacts the attributes of a resource, for all rows that share it.
    pub(crate) fn resource(&self, records: &mut Records, resource: usize) {
        let range = records.resources[resource].clone();
        self.attrs(records, range.start as usize..range.end as usize);
    }

    fn attrs(&self, records: &mut Records, range: std::ops::Range<usize>) {
        for at in range {
            let attr = records.attrs[at];
            let key = std::str::from_utf8(attr.key.of(&records.text)).unwrap_or_default();
            let secret = self.is_key(key);
            if let Some(redacted) = self.value(records, Some(secret), attr.value) {
                records.attrs[at].value = redacted;
            }
        }
    }

    /// What a value becomes; `None` where it stays. `secret` says whether the name it stands under is one.
    fn value(&self, records: &mut Records, secret: Option<bool>, value: Value) -> Option<Value> {
        if secret == Some(true) && value != Value::Null {
            return Some(Value::Text(records.push_text(self.mark("key"))));
        }
        let full = records.text.len() > TEXT_BYTES_MAX;
        let redacted = match value {
            Value::Text(_) => self.text(records.text_of(value)?)?,
            Value::Int(number) if number >= CARD_MIN => self.text(&number.to_string())?,
            Value::Json(_) => {
                let text = records.text_of(value)?;
                let json = match serde_json::from_str(text) {
                    Ok(mut json) => {
                        if !self.json(&mut json) {
                            return None;
                        }
                        json
                    }
                    // Nested too deep to be read: what is left of its text.
                    Err(_) => Json::String(self.text(text)?),
                };
                let json = if full { Json::String(self.mark("text")) } else { json };
                return Some(Value::Json(records.push_text(json.to_string())));
            }
            _ => return None,
        };
        // Without room for what is left of the texts, nothing is left of them.
        let redacted = if full { self.mark("text") } else { redacted };
        Some(Value::Text(records.push_text(redacted)))
    }

    /// Redacts inside a JSON value; true where anything changed.
    fn json(&self, value: &mut Json) -> bool {
        match value {
            Json::String(text) => match self.text(text) {
                Some(redacted) => {
                    *text = redacted;
                    true
                }
                None => false,
            },
            Json::Number(number) if number.as_i64().is_none_or(|n| n < CARD_MIN) => false,
            Json::Number(number) => match self.text(&number.to_string()) {
                Some(redacted) => {
                    *value = redacted.into();
                    true
                }
                None => false,
            },
            Json::Array(items) => items.iter_mut().fold(false, |changed, item| self.json(item) | changed),
            Json::Object(members) => members.iter_mut().fold(false, |changed, (key, value)| {
                if self.is_key(key) && !value.is_null() {
                    *value = self.mark("key").into();
                    return true;
                }
                self.json(value) | changed
            }),
            Json::Null | Json::Bool(_) => false,
        }
    }

    /// A text without what the rules find; `None` where they find nothing.
    pub(crate) fn text(&self, text: &str) -> Option<String> {
        let found = self.set.matches(text);
        if !found.matched_any() {
            return None;
        }
        let mut current: Option<String> = None;
        for rule in found.into_iter().map(|i| &self.rules[i]) {
            let before = current.as_deref().unwrap_or(text);
            if let Some(after) = replace(before, rule, &self.mark(rule.name)) {
                // An expression that finds every letter must not make a book of a line.
                let grown = after.len() > GROWTH_MAX * text.len() + GROWTH_FREE;
                current = Some(if grown { self.mark("text") } else { after });
            }
        }
        current
    }

    fn is_key(&self, key: &str) -> bool {
        (self.secret_keys && presets::is_secret_key(key))
            || (!self.keys.is_empty() && self.keys.contains(&presets::normal(key)))
    }

    fn mark(&self, name: &str) -> String {
        self.replacement.clone().unwrap_or_else(|| format!("[redacted:{name}]"))
    }
}

/// Replaces the group of every match that took part, or the match where the expression has no group.
fn replace(text: &str, rule: &Rule, mark: &str) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    for captures in rule.regex.captures_iter(text) {
        let group = captures.iter().skip(1).flatten().next().or_else(|| captures.get(0));
        let Some(secret) = group.filter(|secret| !secret.is_empty()) else { continue };
        if rule.check.is_none_or(|check| check(secret.as_str())) && secret.as_str() != mark {
            out.push_str(&text[copied..secret.start()]);
            out.push_str(mark);
            copied = secret.end();
        }
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

/// Compiles an expression of ours. Words end where ASCII's do: with Unicode's the fast engines would give up at
/// the first letter beyond ASCII.
fn ours(pattern: &str) -> Regex {
    patterns::compile(&pattern.replace(r"\b", r"(?-u:\b)")).expect("a test compiles every preset")
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::{logs, show};

    /// All presets, compiled once.
    static ALL: LazyLock<Redactor> = LazyLock::new(|| redactor(json!({})));

    fn redactor(config: Json) -> Redactor {
        let mut members = Members::new("p", &config).expect("an object");
        Redactor::new(&mut members).expect("a redactor")
    }

    /// Secrets, each in the middle of a text that must survive around it.
    const SECRETS: &[(&str, &str, &str)] = &[
        ("mail to ", "jane.doe+x@mail.example.com", " sent"),
        ("card ", "4111 1111 1111 1111", " charged"),
        ("card ", "5500-0055-5555-5559", " charged"),
        ("card ", "378282246310005", " charged"),
        ("card ", "4111 1111 1111 1111", " 12/26 charged"),
        ("from ", "203.0.113.77", " port 80"),
        ("ssn ", "078-05-1120", " on file"),
        ("iban ", "DE89 3704 0044 0532 0130 00", " ok"),
        ("authorization: Bearer ", "abcdef123456.xyz-_~+/=", " end"),
        ("Authorization: Basic ", "dXNlcjpwYXNz", " end"),
        ("sent bearer ", "aB3dEfGhIjKl", " end"),
        ("jwt ", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4", " end"),
        ("key ", "AKIAIOSFODNN7EXAMPLE", " used"),
        ("aws_secret_access_key=", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", " set"),
        ("password=", "hunter2", " tried"),
        ("PASSWORD: ", "hunter2", " tried"),
        ("db_password='", "two words", "' tried"),
        (r#"{"user":"u","password":""#, r#"a\"b c"#, r#"","x":1}"#),
        (r#"{\"user\":\"u\",\"passwd\":\""#, "s3cret", r#"\",\"x\":1}"#),
        ("GET /x?a=1&api_key=", "k-123456", "&b=2 HTTP/1.1"),
        ("userPassword=", "pässwörd,;)", " x"),
        ("token=", "abc123def456", " x"),
        ("postgres://app:", "p4ss%40word", "@db:5432/x"),
        ("pushed with ", "ghp_0123456789abcdefghijABCDEFGHIJ012345", " ok"),
        ("bot ", "xoxb-123456789012-abcdefghij", " ok"),
        ("maps ", "AIzaSyA0123456789abcdefghijklmnopqrstuv", " ok"),
        ("paid ", "sk_live_0123456789abcdef", " ok"),
        ("-> ", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----", " <-"),
    ];

    /// What looks like a secret from afar.
    const ORDINARY: &[&str] = &[
        "user logged in after 3 tries",
        "max_tokens=512 token_count: 12, tokens: 7",
        "unexpected token: } at line 3",
        "basic authentication failed, bearer authentication works",
        "took 1700000000123 ns, id 4111111111111112",
        "version 10.4.3 of build 2024.01.02",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7",
        "commit 356a192b7913b04c54574d18c28d46e6395428ab",
        "GET https://example.com/a/b?page=2 200 in 12ms",
        "postgres://db:5432/app connected",
        "order 078-05-11200 shipped @ noon",
        "the password was changed",
        "secretary of state: busy",
        "at main.rs:10:5",
    ];

    #[test]
    fn no_secret_survives_and_the_text_around_it_does() {
        for (before, secret, after) in SECRETS {
            let text = format!("{before}{secret}{after}");
            let redacted = ALL.text(&text).unwrap_or_else(|| panic!("nothing found in {text}"));
            assert!(!redacted.contains(secret), "{redacted}");
            assert!(redacted.starts_with(before) && redacted.ends_with(after), "{redacted}");
            assert!(redacted.len() < before.len() + after.len() + 30, "{redacted}");
        }
        let whole: String = SECRETS.iter().map(|(b, s, a)| format!("{b}{s}{a}\n")).collect();
        let redacted = ALL.text(&whole).expect("secrets");
        for (_, secret, _) in SECRETS {
            assert!(!redacted.contains(secret), "{secret}");
        }
    }

    #[test]
    fn ordinary_text_survives() {
        for text in ORDINARY {
            assert_eq!(ALL.text(text), None, "{text}");
        }
    }

    #[test]
    fn names_of_secrets_take_their_values_with_them() {
        for (key, want) in [
            ("password", true),
            ("db.password", true),
            ("userPassword", true),
            ("http.request.header.authorization", true),
            ("x-api-key", true),
            ("SESSION_TOKEN", true),
            ("Set-Cookie", true),
            ("token", true),
            ("max_tokens", false),
            ("token_count", false),
            ("passwords_changed", false),
            ("keyboard", false),
            ("secretary", false),
        ] {
            assert_eq!(presets::is_secret_key(key), want, "{key}");
        }
    }

    #[test]
    fn every_text_of_a_row_is_redacted() {
        let mut records = logs(&[concat!(
            r#"INFO "to a@b.example" user="c@d.example" card=4111111111111111 n=5 password="x" "#,
            r#"list=["e@f.example",{"token":"t","k":[4111111111111111]}] | host="g@h.example" api_key="k""#
        )]);
        let all = redactor(json!({"replacement": "X"}));
        all.row(&mut records, 0);
        all.resource(&mut records, 0);
        let want = r#"INFO "to X" user="X" card="X" n=5 password="X" list=["X",{"k":["X"],"token":"X"}] | host="X" api_key="X""#;
        assert_eq!(show(&records), [want]);
    }

    #[test]
    fn columns_keep_their_type_and_deep_json_keeps_no_secret() {
        let deep = format!("{}\"a@b.example\"{}", "[".repeat(200), "]".repeat(200));
        let mut records = logs(&["- \"7\" a=1"]);
        records.attrs[0].value = Value::Json(records.push_text(deep));
        records.fields_of_mut(0)[0] = Value::Int(4_111_111_111_111_111);
        redactor(json!({"presets": ["all"], "patterns": ["[0-9]+"]})).row(&mut records, 0);
        assert_eq!(records.time_ns(0), 4_111_111_111_111_111);
        let line = show(&records).remove(0);
        assert!(
            line.starts_with("- \"[redacted:pattern]\" a=\"[[") && !line.contains("a@b.example"),
            "{line}"
        );
    }

    #[test]
    fn marks_do_not_blow_a_text_up() {
        let greedy = redactor(json!({"patterns": ["."], "replacement": "x".repeat(64)}));
        assert_eq!(greedy.text(&"a".repeat(10_000)).as_deref(), Some("x".repeat(64).as_str()));
    }

    #[test]
    fn presets_patterns_and_keys_can_be_chosen() {
        let chosen =
            redactor(json!({"presets":["email"],"patterns":["order-(\\d+)"],"keys":["Customer-Name"]}));
        let text = "a@b.example from 10.0.0.1 order-77";
        let want = "[redacted:email] from 10.0.0.1 order-[redacted:pattern]";
        assert_eq!(chosen.text(text).as_deref(), Some(want));
        let mut records = logs(&[r#"- "x" customer_name="Jane" password="p""#]);
        chosen.row(&mut records, 0);
        assert_eq!(show(&records), [r#"- "x" customer_name="[redacted:key]" password="p""#]);
    }

    #[test]
    fn complaints_name_path_value_and_remedy() {
        for (config, path, remedy) in [
            (json!({"presets":["nope"]}), "p.presets[0]", "presets are all, secrets"),
            (json!({"patterns":["("]}), "p.patterns[0]", "unclosed group"),
            (json!({"keys":"x"}), "p.keys", "is not a list"),
        ] {
            let mut members = Members::new("p", &config).expect("an object");
            let error = Redactor::new(&mut members).expect_err("a complaint");
            assert!(error.path == path && error.remedy.contains(remedy), "{error}");
        }
    }

    proptest! {
        #[test]
        fn redacting_twice_changes_nothing_more(text in "\\PC{0,200}") {
            if let Some(once) = ALL.text(&text) {
                prop_assert_eq!(ALL.text(&once).unwrap_or_else(|| once.clone()), once);
            }
        }

        #[test]
        fn secrets_are_found_among_any_text(before in "[a-z ]{0,20}", after in "[a-z ]{0,20}", i in 0..SECRETS.len()) {
            let (start, secret, end) = SECRETS[i];
            let redacted = ALL.text(&format!("{before} {start}{secret}{end} {after}"));
            prop_assert!(redacted.is_some_and(|text| !text.contains(secret)));
        }
    }
}
