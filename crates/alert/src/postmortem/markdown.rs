//! Texts that others wrote, as they stand in Markdown (CommonMark 0.31, sections 2.4 and 6.7) without being any.

/// A text within a line: letters of Markdown and HTML are escaped, line breaks are spaces, and a bare address is no
/// link, since labels are chosen by whoever sends telemetry.
pub(super) fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("://") {
            out += "\\:\\//";
            rest = after;
            continue;
        }
        if rest.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www.")) {
            out += &rest[..3];
            out += "\\.";
            rest = &rest[4..];
            continue;
        }
        match c {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '<' | '>' | '#' | '|' | '~'
            | '!' | '&' | '$' | '@' => out.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => out.push(' '),
            c if is_direction(c) => {}
            c => out.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    out.trim().to_owned()
}

/// A text of several lines inside a list item: hard breaks between them, and no line begins a block of its own.
pub(super) fn lines(text: &str) -> String {
    let each = text.lines().map(inline).filter(|line| !line.is_empty());
    each.map(|line| unblocked(&line)).collect::<Vec<_>>().join("\\\n  ")
}

/// A line that begins no list, heading, rule or quote.
fn unblocked(line: &str) -> String {
    if line.starts_with(['-', '+', '=', ':']) {
        return format!("\\{line}");
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    match line[digits..].starts_with('.') && digits > 0 {
        true => format!("{}\\{}", &line[..digits], &line[digits..]),
        false => line.to_owned(),
    }
}

/// Characters that turn the order of what follows around (Unicode, bidirectional algorithm).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}
