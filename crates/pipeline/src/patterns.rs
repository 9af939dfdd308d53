//! Regular expressions of configurations, and grok: named pieces of expressions, `%{NAME:field:type}`.
//!
//! Expressions run in time linear in the text, and their size is bounded, so a configuration can be slow but
//! never stall. The library holds the names that most published patterns use.

mod library; // names and their expressions

use regex::{Regex, RegexBuilder};

/// Longest expression as written.
const PATTERN_BYTES_MAX: usize = 4096;
/// Longest expression after its names were replaced.
const EXPANDED_BYTES_MAX: usize = 64 << 10;
/// Names within names.
const DEPTH_MAX: usize = 12;
/// Memory of a compiled expression.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// Compiles an expression, or says what is wrong with it.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("is longer than {PATTERN_BYTES_MAX} bytes"));
    }
    build(pattern)
}

fn build(pattern: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(pattern);
    let regex = builder.size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX).build();
    regex.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            "is too large an expression; use fewer or smaller repetitions".into()
        }
        // The message shows the place above its last line, which says what is wrong there.
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("is no regular expression: {}", last.trim_start_matches("error: "))
        }
    })
}

/// What a captured text becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
    Float,
}

/// An expression whose captures have names.
#[derive(Clone, Debug)]
pub(crate) struct Extractor {
    regex: Regex,
    /// Number of a capture, its field, and what it becomes.
    captures: Vec<(usize, String, Kind)>,
}

impl Extractor {
    /// An expression with named groups.
    pub(crate) fn regex(pattern: &str) -> Result<Self, String> {
        let regex = compile(pattern)?;
        let names = regex.capture_names().enumerate();
        let captures: Vec<_> =
            names.filter_map(|(i, name)| Some((i, name?.to_owned(), Kind::Text))).collect();
        if captures.is_empty() {
            return Err("has no named group; write (?<field>…)".into());
        }
        Ok(Self { regex, captures })
    }

    /// A grok pattern, with names of its own beside the library's.
    pub(crate) fn grok(pattern: &str, own: &[(String, String)]) -> Result<Self, String> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("is longer than {PATTERN_BYTES_MAX} bytes"));
        }
        let mut expansion = Expansion { own, out: String::new(), fields: Vec::new() };
        expansion.push(pattern, 0)?;
        let regex = build(&expansion.out)?;
        let mut captures = Vec::new();
        for (i, name) in regex.capture_names().enumerate() {
            let Some(name) = name else { continue };
            // Our own groups stand for fields, whose names a group could not have; others are the pattern's.
            let ours = name.strip_prefix(GROUP).and_then(|n| n.parse::<usize>().ok());
            match ours.and_then(|n| expansion.fields.get(n)) {
                Some((field, kind)) => captures.push((i, field.clone(), *kind)),
                None => captures.push((i, name.to_owned(), Kind::Text)),
            }
        }
        if captures.is_empty() {
            return Err("captures nothing; write %{NAME:field}".into());
        }
        Ok(Self { regex, captures })
    }

    /// Fields of a text that matches; `None` where it does not. Empty captures are left out.
    pub(crate) fn extract<'t>(&self, text: &'t str) -> Option<Vec<(&str, &'t str, Kind)>> {
        let captures = self.regex.captures(text)?;
        let mut found: Vec<(&str, &'t str, Kind)> = Vec::with_capacity(self.captures.len());
        for (i, field, kind) in &self.captures {
            let text = captures.get(*i).map_or("", |capture| capture.as_str());
            // Alternatives may name one field twice; the one that matched counts.
            if !text.is_empty() && found.iter().all(|(known, ..)| known != field) {
                found.push((field, text, *kind));
            }
        }
        Some(found)
    }
}

/// Names of the groups that stand for fields.
const GROUP: &str = "grok_";

/// An expression in which names are being replaced.
struct Expansion<'p> {
    own: &'p [(String, String)],
    out: String,
    fields: Vec<(String, Kind)>,
}

impl Expansion<'_> {
    fn push(&mut self, pattern: &str, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("nests names deeper than {DEPTH_MAX}; does one contain itself?"));
        }
        let mut rest = pattern;
        while let Some(start) = rest.find("%{") {
            let (before, reference) = (&rest[..start], &rest[start + 2..]);
            let end = reference.find('}').ok_or("has %{ without }")?;
            self.out.push_str(before);
            self.push_reference(&reference[..end], depth)?;
            rest = &reference[end + 1..];
            if self.out.len() > EXPANDED_BYTES_MAX {
                return Err(format!("is longer than {EXPANDED_BYTES_MAX} bytes with its names replaced"));
            }
        }
        self.out.push_str(rest);
        Ok(())
    }

    /// `NAME`, `NAME:field` or `NAME:field:type`.
    fn push_reference(&mut self, reference: &str, depth: usize) -> Result<(), String> {
        let mut parts = reference.splitn(3, ':');
        let name = parts.next().unwrap_or_default();
        let own = self.own.iter().find(|(known, _)| known == name).map(|(_, pattern)| pattern.as_str());
        let pattern = own.or_else(|| library::pattern(name));
        let pattern =
            pattern.ok_or_else(|| format!("names {name:?}, which is not in the library"))?.to_owned();
        match parts.next() {
            None | Some("") => self.out.push_str("(?:"),
            Some(field) => {
                let kind = match parts.next() {
                    None | Some("string") => Kind::Text,
                    Some("int" | "long") => Kind::Int,
                    Some("float" | "double") => Kind::Float,
                    Some(other) => {
                        return Err(format!("has type {other:?}; types are int, float and string"));
                    }
                };
                self.out.push_str(&format!("(?<{GROUP}{}>", self.fields.len()));
                // `[a][b]` is Logstash's way to write `a.b`.
                let field = field.trim_matches(['[', ']']).replace("][", ".");
                self.fields.push((field, kind));
            }
        }
        self.push(&pattern, depth + 1)?;
        self.out.push(')');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn groks(pattern: &str, text: &str, want: &str) {
        let extractor = Extractor::grok(pattern, &[]).expect("a pattern");
        let got = match extractor.extract(text) {
            None => "no match".to_owned(),
            Some(fields) => {
                let fields: Vec<_> =
                    fields.iter().map(|(field, text, _)| format!("{field}={text}")).collect();
                fields.join(" ")
            }
        };
        assert_eq!(got, want, "{pattern} on {text}");
    }

    #[test]
    fn every_name_of_the_library_compiles() {
        for (name, _) in library::PATTERNS {
            Extractor::grok(&format!("%{{{name}:x}}"), &[]).expect(name);
        }
    }

    #[test]
    fn names_match_what_they_stand_for() {
        groks("%{IP:ip} %{WORD:verb} %{NUMBER:n}", "10.0.0.1 GET -1.5", "ip=10.0.0.1 verb=GET n=-1.5");
        groks("^%{IP:ip}$", "2001:db8::1", "ip=2001:db8::1");
        groks("^%{IP:ip}$", "300.0.0.1", "no match");
        groks(
            "%{LOGLEVEL:level}: %{GREEDYDATA:rest}",
            "Warning: all is well",
            "level=Warning rest=all is well",
        );
        groks(
            "^%{TIMESTAMP_ISO8601:t} ",
            "2024-01-02T03:04:05.678+01:00 x",
            "t=2024-01-02T03:04:05.678+01:00",
        );
        groks("^%{TIMESTAMP_ISO8601:t} ", "2024-01-02 03:04:05,678 x", "t=2024-01-02 03:04:05,678");
        groks("%{HTTPDATE:t}", "[10/Oct/2000:13:55:36 -0700]", "t=10/Oct/2000:13:55:36 -0700");
        groks("%{QUOTEDSTRING:q} %{DATA:d};", r#""a \"b\"" c d;"#, r#"q="a \"b\"" d=c d"#);
        groks(
            "%{UUID:u}",
            "id 123e4567-e89b-12d3-a456-426614174000.",
            "u=123e4567-e89b-12d3-a456-426614174000",
        );
        groks("%{URIPATH:path}%{URIPARAM:q}?", "/a/b.html?x=1&y=2", "path=/a/b.html q=?x=1&y=2");
        groks("%{URI:u}", "see https://u@h.example:8080/p?q=1 ok", "u=https://u@h.example:8080/p?q=1");
        groks("%{EMAILADDRESS:e}", "to a.b+c@d.example!", "e=a.b+c@d.example");
        groks("%{SYSLOGTIMESTAMP:t} %{SYSLOGHOST:h}", "Jan  2 03:04:05 web-1 x", "t=Jan  2 03:04:05 h=web-1");
        groks("%{HOSTPORT:h}", "db.example:5432", "h=db.example:5432");
        groks("%{MAC:m}", "00:1b:44:11:3a:b7", "m=00:1b:44:11:3a:b7");
        groks("(?<own>[a-z]+)%{INT:[a][b]:int}", "abc12", "own=abc a.b=12");
        groks("%{INT:a}|%{WORD:a}", "x", "a=x");
    }

    #[test]
    fn access_logs_are_read() {
        let line = r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)""#;
        let common = "clientip=127.0.0.1 ident=- auth=frank timestamp=10/Oct/2000:13:55:36 -0700 verb=GET request=/apache_pb.gif httpversion=1.0 response=200 bytes=2326";
        groks("%{COMMONAPACHELOG}", line, common);
        let combined = format!(
            "{common} referrer=http://www.example.com/start.html agent=Mozilla/4.08 [en] (Win98; I ;Nav)"
        );
        groks("^%{COMBINEDAPACHELOG}$", line, &combined);
        groks(
            "%{COMMONAPACHELOG}",
            r#"::1 - - [10/Oct/2000:13:55:36 +0000] "-" 408 -"#,
            "clientip=::1 ident=- auth=- timestamp=10/Oct/2000:13:55:36 +0000 rawrequest=- response=408",
        );
    }

    #[test]
    fn own_names_come_before_the_library() {
        let own =
            [("WORD".to_owned(), "[0-9]+".to_owned()), ("PAIR".to_owned(), "%{WORD:a}-%{WORD:b}".to_owned())];
        let extractor = Extractor::grok("%{PAIR}", &own).expect("a pattern");
        let fields = extractor.extract("x 1-2").expect("a match");
        assert_eq!(fields, [("a", "1", Kind::Text), ("b", "2", Kind::Text)]);
    }

    #[test]
    fn bad_patterns_are_refused_with_their_fault() {
        let myself = [("A".to_owned(), "%{A}%{A}".to_owned())];
        let many = "%{COMBINEDAPACHELOG}".repeat(200);
        for (pattern, own, want) in [
            ("%{NOPE:x}", &[][..], "\"NOPE\", which is not in the library"),
            ("%{INT:x", &[], "without }"),
            ("%{INT:x:money}", &[], "type \"money\""),
            ("%{INT}", &[], "captures nothing"),
            ("%{INT:x}(", &[], "unclosed group"),
            ("%{A:x}", &myself, "does one contain itself?"),
            (&many, &[], "is longer than"),
        ] {
            let error = Extractor::grok(pattern, own).expect_err("a fault");
            assert!(error.contains(want), "{error}");
        }
        for (pattern, want) in [
            ("a+", "has no named group"),
            ("(?<a>", "unclosed group"),
            ("(?<a>(x{1000}){1000})", "too large"),
            ("(?<a>(?=x))", "look-around"),
        ] {
            let error = Extractor::regex(pattern).expect_err("a fault");
            assert!(error.contains(want), "{error}");
        }
    }
}
