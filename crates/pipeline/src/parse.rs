//! Texts to fields: JSON, logfmt, regular expressions and grok.

use model::{Records, Value};
use serde_json::Value as Json;

use crate::field::set_attr;
use crate::patterns::{Extractor, Kind};

/// Fields that one text may give a row; the rest is left out.
const FIELDS_MAX: usize = 256;
/// Longest name of a field; an object at a longer path stays JSON.
const KEY_BYTES_MAX: usize = 256;
/// Longest text that is parsed.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// How a text is read.
#[derive(Clone, Debug)]
pub(crate) enum Parser {
    Json,
    Logfmt,
    Pattern(Box<Extractor>),
}

/// What a field becomes, not yet part of the rows.
enum Found {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Json(String),
}

impl Parser {
    /// Reads a text and adds what it finds to a row's attributes. False where the text is of another form.
    pub(crate) fn run(&self, records: &mut Records, row: usize, text: &str, prefix: &str) -> bool {
        if text.len() > TEXT_BYTES_MAX {
            return false;
        }
        let Some(found) = self.read(text, prefix) else { return false };
        for (key, value) in found {
            let value = match value {
                Found::Bool(flag) => Value::Bool(flag),
                Found::Int(number) => Value::Int(number),
                Found::Double(number) => Value::Double(number),
                Found::Text(text) => Value::Text(records.push_text(text)),
                Found::Json(text) => Value::Json(records.push_text(text)),
            };
            set_attr(records, row, &key, value);
        }
        true
    }

    fn read(&self, text: &str, prefix: &str) -> Option<Vec<(String, Found)>> {
        let mut found = Vec::new();
        match self {
            Self::Json => {
                let text = text.trim();
                if !text.starts_with('{') {
                    return None;
                }
                let json: Json = serde_json::from_str(text).ok()?;
                let mut key = prefix.to_owned();
                for (name, value) in json.as_object()? {
                    key.truncate(prefix.len());
                    key.push_str(name);
                    flatten(&mut key, value, &mut found);
                }
            }
            Self::Logfmt => {
                for (key, value) in logfmt(text)? {
                    found.push((format!("{prefix}{key}"), value));
                }
            }
            Self::Pattern(extractor) => {
                for (field, text, kind) in extractor.extract(text)? {
                    found.push((format!("{prefix}{field}"), typed(text, kind)));
                }
            }
        }
        found.truncate(FIELDS_MAX);
        Some(found)
    }
}

/// Adds a member, and those inside of it with dots; `key` is left as it was.
fn flatten(key: &mut String, value: &Json, found: &mut Vec<(String, Found)>) {
    if found.len() >= FIELDS_MAX {
        return;
    }
    let value = match value {
        Json::Null => return,
        Json::Bool(flag) => Found::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Found::Int(whole),
            None => Found::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Found::Text(text.clone()),
        Json::Object(members) if !members.is_empty() && key.len() <= KEY_BYTES_MAX => {
            let path = key.len();
            for (name, value) in members {
                key.push('.');
                key.push_str(name);
                flatten(key, value, found);
                key.truncate(path);
            }
            return;
        }
        nested => Found::Json(nested.to_string()),
    };
    found.push((key.clone(), value));
}

/// `key=value key="quoted value" flag`; `None` for a text without any pair.
fn logfmt(text: &str) -> Option<Vec<(&str, Found)>> {
    let mut found = Vec::new();
    let mut pairs = 0;
    let mut rest = text.trim_start();
    while !rest.is_empty() && found.len() < FIELDS_MAX {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let (value, after) = match after.strip_prefix('=') {
            None => (None, after),
            Some(quoted) if quoted.starts_with('"') => {
                let (value, after) = unquote(&quoted[1..])?;
                (Some(Found::Text(value)), after)
            }
            Some(plain) => {
                let end = plain.find(char::is_whitespace).unwrap_or(plain.len());
                (Some(scalar(&plain[..end])), &plain[end..])
            }
        };
        // A word alone may be prose; among pairs it is left out.
        if let (Some(value), false) = (value, key.is_empty()) {
            pairs += 1;
            found.push((key, value));
        }
        rest = after.trim_start();
    }
    (pairs > 0).then_some(found)
}

/// A text up to its closing quote, and what follows it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

/// A word as number or boolean where it is one.
fn scalar(word: &str) -> Found {
    match word {
        "true" => Found::Bool(true),
        "false" => Found::Bool(false),
        _ => {
            // A number that would not come back the same, such as `007` or `1e9`, is a text.
            if let Ok(number) = word.parse::<i64>()
                && number.to_string() == word
            {
                return Found::Int(number);
            }
            match word.parse::<f64>() {
                Ok(number) if number.to_string() == word && number.is_finite() => Found::Double(number),
                _ => Found::Text(word.to_owned()),
            }
        }
    }
}

fn typed(text: &str, kind: Kind) -> Found {
    let found = match kind {
        Kind::Text => None,
        Kind::Int => text.parse().ok().map(Found::Int),
        Kind::Float => text.parse().ok().map(Found::Double),
    };
    found.unwrap_or_else(|| Found::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{logs, show};

    #[track_caller]
    fn parses(parser: &Parser, text: &str, want: &str) {
        let mut records = logs(&["- null old=1"]);
        let done = parser.run(&mut records, 0, text, "");
        let got = if done { show(&records).remove(0) } else { "no match".to_owned() };
        assert_eq!(
            got,
            if want == "no match" { want.to_owned() } else { format!("- null old={want}") },
            "{text}"
        );
    }

    #[test]
    fn json_is_flattened() {
        let json = Parser::Json;
        parses(
            &json,
            r#"{"a":1,"b":{"c":"x","d":[1,{"e":2}],"f":{}},"g":null,"h":1.5,"i":true}"#,
            r#"1 a=1 b.c="x" b.d=[1,{"e":2}] b.f={} h=1.5 i=true"#,
        );
        parses(&json, r#" {"old":2} "#, "2");
        for text in ["", "[1]", "3", "{", "{\"a\":1} x", "text"] {
            parses(&json, text, "no match");
        }
    }

    #[test]
    fn logfmt_is_read() {
        let logfmt = Parser::Logfmt;
        parses(
            &logfmt,
            r#"ts=2024-01-02T03:04:05Z level=info msg="a \"b\"\n" n=5 x=1.5 ok=true id=007 e= flag"#,
            r#"1 ts="2024-01-02T03:04:05Z" level="info" msg="a \"b\"\n" n=5 x=1.5 ok=true id="007" e="""#,
        );
        parses(&logfmt, "old=new", r#""new""#);
        for text in ["", "just prose", "=x", "a=\"open"] {
            parses(&logfmt, text, "no match");
        }
    }

    #[test]
    fn patterns_give_typed_fields() {
        let grok =
            Extractor::grok("%{WORD:verb} took %{NUMBER:ms:float} of %{INT:n:int}", &[]).expect("a pattern");
        let grok = Parser::Pattern(Box::new(grok));
        parses(&grok, "GET took 1.5 of 7", r#"1 verb="GET" ms=1.5 n=7"#);
        parses(&grok, "GET took long", "no match");
        let regex = Parser::Pattern(Box::new(Extractor::regex("(?<user>\\w+)@").expect("a pattern")));
        parses(&regex, "me@here", r#"1 user="me""#);
    }

    #[test]
    fn a_text_gives_a_bounded_number_of_fields() {
        let many: String = (0..1000).map(|i| format!("k{i}={i} ")).collect();
        let deep = format!("{}1{}", "{\"aaaaaaaaaaaa\":".repeat(100), "}".repeat(100));
        for (parser, text, want) in [(Parser::Logfmt, &many, FIELDS_MAX), (Parser::Json, &deep, 1)] {
            let mut records = logs(&["- null"]);
            assert!(parser.run(&mut records, 0, text, ""));
            assert_eq!(records.attrs_of(0).len(), want);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([a-z]{1,3}=|\"|\\\\|\\{|\\}|:|[0-9.e-]{1,4}| |\\PC){0,40}") {
            for parser in [Parser::Json, Parser::Logfmt] {
                parser.run(&mut logs(&["- null a=1"]), 0, &text, "p.");
            }
        }
    }
}
