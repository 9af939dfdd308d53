//! Reads a search. By recursive descent without a lexer, since what a character means depends on whether a
//! name or a value is expected.

use model::Order;

use super::ast::{At, Expr, FieldTest, Name, Scope, Value};
use super::{BYTES_MAX, DEPTH_MAX, SearchError};

/// Reads a search.
pub(super) fn parse(text: &str) -> Result<Expr, SearchError> {
    if text.len() > BYTES_MAX {
        let problem = format!("a search may have {BYTES_MAX} bytes, this has {}", text.len());
        return Err(SearchError::new(text, 0, problem, "shorten it"));
    }
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.skip_blanks();
    if parser.at_end() {
        return Ok(Expr::Everything);
    }
    let expr = parser.any(None)?;
    if parser.at_end() { Ok(expr) } else { Err(parser.error("no parenthesis is open", "remove the `)`")) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// Where a bare word ends, beside blanks and the end.
const WORD_END: &[char] = &['(', ')', '"', '|'];

impl<'a> Parser<'a> {
    /// One or more conditions of which one must hold. In a group behind a field's name, conditions are of it.
    fn any(&mut self, of: Option<&Name>) -> Result<Expr, SearchError> {
        let mut parts = vec![self.all(of)?];
        while self.eat_operator("OR") || self.eat_char('|') {
            self.eat_char('|');
            self.skip_blanks();
            parts.push(self.all(of)?);
        }
        Ok(Expr::any(parts))
    }

    fn all(&mut self, of: Option<&Name>) -> Result<Expr, SearchError> {
        let mut parts = vec![self.negation(of)?];
        loop {
            if self.eat_operator("AND") || self.eat_operator("&&") {
                parts.push(self.negation(of)?);
            } else if self.at_end()
                || self.peek() == Some(')')
                || self.peek() == Some('|')
                || self.sees_operator("OR")
            {
                return Ok(Expr::all(parts));
            } else {
                parts.push(self.negation(of)?);
            }
        }
    }

    fn negation(&mut self, of: Option<&Name>) -> Result<Expr, SearchError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let problem = format!("more than {DEPTH_MAX} levels of parentheses and negations");
            return Err(self.error(&problem, "use fewer"));
        }
        let negated = self.eat_operator("NOT") || self.eat_char('-') || self.eat_char('!');
        let expr = if negated { self.negation(of)?.negated() } else { self.primary(of)? };
        self.depth -= 1;
        self.skip_blanks();
        Ok(expr)
    }

    fn primary(&mut self, of: Option<&Name>) -> Result<Expr, SearchError> {
        match self.peek() {
            None => Err(self.error("a term is missing", "write a word, \"a phrase\" or field:value")),
            Some(')') => {
                Err(self.error("a term is missing", "write one before `)`, or quote the text: \"f()\""))
            }
            Some('(') => self.group(of),
            Some(_) if self.sees_operator("OR") || self.sees_operator("AND") => {
                Err(self.error("a term is missing", "write one on both sides, or quote the word: \"OR\""))
            }
            Some(c) if c.is_whitespace() => Err(self
                .error("a term is missing", "write it directly behind the sign, or put the sign in quotes")),
            Some('|') => Err(self.error("a term is missing", "write one on both sides of `|`")),
            Some(_) => match of {
                Some(name) => self.field_test(name),
                None => self.term(),
            },
        }
    }

    fn group(&mut self, of: Option<&Name>) -> Result<Expr, SearchError> {
        let open = self.at;
        self.at += 1;
        self.skip_blanks();
        let expr = self.any(of)?;
        if self.eat_char(')') {
            Ok(expr)
        } else {
            Err(SearchError::new(self.text, open, "a parenthesis is not closed", "write `)` where it ends"))
        }
    }

    /// A word, a phrase, or a field with what is asked of it.
    fn term(&mut self) -> Result<Expr, SearchError> {
        let start = self.at;
        if self.peek() == Some('"') {
            let text = self.quoted()?;
            if self.eat_char(':') {
                return self.field_test(&Name { scope: Scope::Key, key: text, at: start });
            }
            if text.is_empty() {
                let remedy = "write a word between the quotes, or `*` for every row";
                return Err(SearchError::new(self.text, start, "an empty phrase", remedy));
            }
            let prefix = self.eat_char('*');
            return Ok(Expr::Words(Value::Quoted { text, prefix }, At(start)));
        }
        let texts = self.word(&[':'], &[])?;
        if self.peek() == Some('"') {
            // `attributes."any key":value`
            if let Some(scope) = scope_before_quote(&self.text[start..self.at]) {
                let key = self.quoted()?;
                return if self.eat_char(':') {
                    self.field_test(&Name { scope, key, at: start })
                } else {
                    Err(self.error("a value is missing", "write `:` and a value behind the name"))
                };
            }
        }
        if !self.eat_char(':') {
            return Ok(if texts.iter().all(String::is_empty) {
                Expr::Everything
            } else {
                Expr::Words(Value::Word(texts), At(start))
            });
        }
        if self.text[self.at..].starts_with("//") {
            return Err(SearchError::new(self.text, start, "this looks like an address", "put it in quotes"));
        }
        let [word] = texts.as_slice() else {
            let remedy = "write the whole name, or put it in quotes";
            return Err(SearchError::new(self.text, start, "a field's name cannot have a star", remedy));
        };
        let (scope, key) = scoped(word);
        if key.is_empty() {
            let remedy = "write a name before `:`, or put the text in quotes";
            return Err(SearchError::new(self.text, start, "a field's name is missing", remedy));
        }
        self.field_test(&Name { scope, key: key.to_owned(), at: start })
    }

    /// What is asked of a field, behind its name and the colon.
    fn field_test(&mut self, name: &Name) -> Result<Expr, SearchError> {
        let is = |test| Ok(Expr::Field(name.clone(), test));
        match self.peek() {
            Some('(') => self.group(Some(name)),
            Some('[' | '{') => is(self.range()?),
            Some('/') => match self.regex() {
                Some(regex) => is(FieldTest::Regex(regex)),
                None => is(FieldTest::Is(self.value(&[])?)),
            },
            Some('~') => {
                self.at += 1;
                match self.value(&[])? {
                    Value::Quoted { text, prefix: false } => is(FieldTest::Regex(text)),
                    Value::Word(texts) => is(FieldTest::Regex(texts.join("*"))),
                    Value::Quoted { .. } => {
                        Err(self.error("a regular expression has no star behind it", "remove it"))
                    }
                }
            }
            Some('!') if self.text[self.at..].starts_with("!=") => {
                self.at += 2;
                Ok(Expr::Field(name.clone(), FieldTest::Is(self.value(&[])?)).negated())
            }
            Some('=') => {
                self.at += 1;
                is(FieldTest::Exactly(self.value(&[])?))
            }
            Some('>' | '<') => {
                let order = self.order();
                is(FieldTest::Order(order, self.value(&[])?))
            }
            _ => is(FieldTest::Is(self.value(&[])?)),
        }
    }

    fn order(&mut self) -> Order {
        let more = self.eat_char('>');
        if !more {
            self.at += 1;
        }
        match (more, self.eat_char('=')) {
            (true, true) => Order::GreaterOrEqual,
            (true, false) => Order::Greater,
            (false, true) => Order::LessOrEqual,
            (false, false) => Order::Less,
        }
    }

    /// `/…/` without blanks and with nothing behind it; else nothing is read, and it is a value such as a path.
    fn regex(&mut self) -> Option<String> {
        let rest = &self.text[self.at + 1..];
        let mut regex = String::new();
        let mut chars = rest.char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '/' => {
                    let behind = rest[i + 1..].chars().next();
                    if regex.is_empty() || !behind.is_none_or(|c| c.is_whitespace() || c == ')') {
                        return None;
                    }
                    self.at += i + 2;
                    return Some(regex);
                }
                '\\' => match chars.next()? {
                    (_, '/') => regex.push('/'),
                    (_, other) => regex.extend(['\\', other]),
                },
                c if c.is_whitespace() => return None,
                c => regex.push(c),
            }
        }
        None
    }

    /// `[low TO high]`; a brace in place of a bracket leaves that end out, a star leaves it open.
    fn range(&mut self) -> Result<FieldTest, SearchError> {
        let low_inside = self.peek() == Some('[');
        self.at += 1;
        self.skip_blanks();
        let low = self.value(&[']', '}'])?;
        self.skip_blanks();
        if !self.eat_operator("TO") {
            return Err(self.error("a range needs two ends", "write [low TO high]"));
        }
        let high = self.value(&[']', '}'])?;
        self.skip_blanks();
        let high_inside = match self.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(self.error("a range is not closed", "write `]` or `}` behind its upper end")),
        };
        self.at += 1;
        let open = |value: Value| match value {
            Value::Word(texts) if texts.len() > 1 && texts.iter().all(String::is_empty) => None,
            value => Some(value),
        };
        Ok(FieldTest::Range { low: open(low), low_inside, high: open(high), high_inside })
    }

    /// A value, in quotes or not.
    fn value(&mut self, ends: &[char]) -> Result<Value, SearchError> {
        if self.peek() == Some('"') {
            let text = self.quoted()?;
            let prefix = self.eat_char('*');
            return Ok(Value::Quoted { text, prefix });
        }
        Ok(Value::Word(self.word(&[], ends)?))
    }

    /// A text in quotes.
    fn quoted(&mut self) -> Result<String, SearchError> {
        let open = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(text),
                '\\' => {
                    let known = match self.peek() {
                        Some('"') => '"',
                        Some('\\') => '\\',
                        Some('n') => '\n',
                        Some('r') => '\r',
                        Some('t') => '\t',
                        _ => {
                            self.at -= 1;
                            return Err(
                                self.error("not an escape", r#"write \\ for a backslash, or \" \n \r \t"#)
                            );
                        }
                    };
                    self.at += 1;
                    text.push(known);
                }
                c => text.push(c),
            }
        }
        Err(SearchError::new(self.text, open, "a quote is not closed", "write `\"` where it ends"))
    }

    /// A word without quotes: its texts, between which stars stood.
    fn word(&mut self, and_at: &[char], ends: &[char]) -> Result<Vec<String>, SearchError> {
        let start = self.at;
        let mut texts = vec![String::new()];
        while let Some(c) = self.peek() {
            if c.is_whitespace() || WORD_END.contains(&c) || and_at.contains(&c) || ends.contains(&c) {
                break;
            }
            self.at += c.len_utf8();
            let behind_star = texts.len() > 1;
            let text = texts.last_mut().expect("there is one from the start");
            match c {
                // Neighbouring stars are one star.
                '*' if behind_star && text.is_empty() => {}
                '*' => texts.push(String::new()),
                '\\' => match self.peek() {
                    Some(next) => {
                        self.at += next.len_utf8();
                        text.push(next);
                    }
                    None => {
                        self.at -= 1;
                        return Err(self.error("nothing follows the backslash", r"write \\ for a backslash"));
                    }
                },
                c => text.push(c),
            }
        }
        if self.at == start && self.peek() != Some(':') {
            return Err(
                self.error("a value is missing", "write one behind the colon, or put the text in quotes")
            );
        }
        Ok(texts)
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat_char(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    /// True where a word stands that is this operator, as a word of its own.
    fn sees_operator(&self, operator: &str) -> bool {
        let Some(rest) = self.text[self.at..].strip_prefix(operator) else { return false };
        rest.chars().next().is_none_or(|c| c.is_whitespace() || WORD_END.contains(&c))
    }

    /// Takes an operator and the blanks behind it.
    fn eat_operator(&mut self, operator: &str) -> bool {
        let found = self.sees_operator(operator);
        if found {
            self.at += operator.len();
            self.skip_blanks();
        }
        found
    }

    fn error(&self, problem: &str, remedy: &str) -> SearchError {
        SearchError::new(self.text, self.at, problem, remedy)
    }
}

const RECORD_PREFIXES: [&str; 2] = ["attributes.", "attr."];
const RESOURCE_PREFIX: &str = "resource.";

/// Splits `attributes.` and `resource.` from a name.
pub(super) fn scoped(word: &str) -> (Scope, &str) {
    for prefix in RECORD_PREFIXES {
        if let Some(key) = word.strip_prefix(prefix) {
            return (Scope::Record, key);
        }
    }
    match word.strip_prefix(RESOURCE_PREFIX) {
        Some(key) => (Scope::Resource, key),
        None => (Scope::Word, word),
    }
}

fn scope_before_quote(word: &str) -> Option<Scope> {
    match scoped(word) {
        (Scope::Word, _) => None,
        (scope, "") => Some(scope),
        _ => None,
    }
}
