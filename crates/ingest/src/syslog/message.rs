//! One message to its parts. Every step that does not fit leaves what it saw to the next, looser one; at the
//! end stands the body.

use super::time;

/// Parameters of structured data that are read; the rest of a longer list is left out.
const PARAMETERS_MAX: usize = 1024;

/// The parts of a message, as sent.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Message<'a> {
    /// Facility times 8 plus severity, below 192.
    pub(super) priority: Option<u8>,
    pub(super) time_ns: Option<i64>,
    pub(super) host: Option<&'a [u8]>,
    pub(super) app: Option<&'a [u8]>,
    pub(super) process: Option<&'a [u8]>,
    pub(super) id: Option<&'a [u8]>,
    /// Structured data: `<id>.<name>` and value.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) body: &'a [u8],
}

/// Reads a message of either standard.
pub(super) fn parse(message: &[u8], received_at_ns: i64) -> Message<'_> {
    let (priority, rest) = priority(message);
    let parsed = match (priority, rest) {
        (Some(_), [b'1', b' ', header @ ..]) => ietf(header).unwrap_or_else(|| bsd(rest, received_at_ns)),
        _ => bsd(rest, received_at_ns),
    };
    Message { priority, ..parsed }
}

/// `<0>` to `<191>`.
fn priority(message: &[u8]) -> (Option<u8>, &[u8]) {
    let found = message.strip_prefix(b"<").and_then(|rest| {
        let end = rest.iter().take(4).position(|b| *b == b'>')?;
        Some((number(&rest[..end], 191)? as u8, &rest[end + 1..]))
    });
    match found {
        Some((priority, rest)) => (Some(priority), rest),
        None => (None, message),
    }
}

/// RFC 5424 behind its version: `TIME HOST APP PROCID MSGID SD MSG`.
fn ietf(header: &[u8]) -> Option<Message<'_>> {
    let (time, rest) = word(header)?;
    let time_ns = if time == b"-" { None } else { Some(time::rfc3339(time)?) };
    let (host, rest) = word(rest)?;
    let (app, rest) = word(rest)?;
    let (process, rest) = word(rest)?;
    // A message may end after its message id.
    let (id, rest) = word(rest).unwrap_or((rest, b"-"));
    let mut parameters = Vec::new();
    let body = match rest {
        [b'-'] => b"",
        [b'-', b' ', body @ ..] => body,
        data => structured(data, &mut parameters),
    };
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    Some(Message {
        priority: None,
        time_ns,
        host: given(host),
        app: given(app),
        process: given(process),
        id: given(id),
        parameters,
        body,
    })
}

/// A field of the header; `-` stands for none.
fn given(field: &[u8]) -> Option<&[u8]> {
    Some(field).filter(|field| *field != b"-")
}

/// Reads `[id name="value" …]…` and returns what follows. Data that does not follow the standard is part of
/// the body from its element on.
fn structured<'a>(data: &'a [u8], parameters: &mut Vec<(String, String)>) -> &'a [u8] {
    let mut rest = data;
    while rest.starts_with(b"[") {
        let known = parameters.len();
        match element(&rest[1..], parameters) {
            Some(after) => rest = after,
            None => {
                parameters.truncate(known);
                return rest;
            }
        }
    }
    rest.strip_prefix(b" ").unwrap_or(rest)
}

/// One element behind its bracket; returns what follows.
fn element<'a>(mut rest: &'a [u8], parameters: &mut Vec<(String, String)>) -> Option<&'a [u8]> {
    let name_end = |text: &[u8]| text.iter().position(|b| matches!(b, b' ' | b'=' | b']' | b'"'));
    let (id, after) = rest.split_at(name_end(rest)?);
    if id.is_empty() {
        return None;
    }
    let id = String::from_utf8_lossy(id);
    rest = after;
    loop {
        rest = rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix(b"]") {
            return Some(after);
        }
        let (name, after) = rest.split_at(name_end(rest)?);
        let quoted = after.strip_prefix(b"=\"").filter(|_| !name.is_empty())?;
        let (value, after) = unquote(quoted)?;
        if parameters.len() < PARAMETERS_MAX {
            parameters.push((format!("{id}.{}", String::from_utf8_lossy(name)), value));
        }
        rest = after;
    }
}

/// A value up to its closing quote; `\` stands before `"`, `\` and `]`, and for itself elsewhere.
fn unquote(quoted: &[u8]) -> Option<(String, &[u8])> {
    let mut value = Vec::new();
    let mut at = 0;
    loop {
        match (quoted.get(at)?, quoted.get(at + 1)) {
            (b'"', _) => return Some((String::from_utf8_lossy(&value).into_owned(), &quoted[at + 1..])),
            (b'\\', Some(escaped @ (b'"' | b'\\' | b']'))) => {
                value.push(*escaped);
                at += 2;
            }
            (byte, _) => {
                value.push(*byte);
                at += 1;
            }
        }
    }
}

/// RFC 3164 and its relatives: `[TIME [HOST]] [TAG[PID]:] BODY`.
fn bsd(message: &[u8], received_at_ns: i64) -> Message<'_> {
    let Some((time_ns, rest)) = time::leading(message, received_at_ns) else {
        let (app, process, body) = tag(message).unwrap_or((None, None, message));
        return Message { app, process, body, ..Message::default() };
    };
    // A local sender leaves its host out, so that the tag comes first.
    let (host, rest) = match (word(rest), tag(rest)) {
        (Some((host, after)), None) if !host.ends_with(b":") => (Some(host), after),
        _ => (None, rest),
    };
    let (app, process, body) = tag(rest).unwrap_or((None, None, rest));
    Message { time_ns: Some(time_ns), host, app, process, body, ..Message::default() }
}

/// `name[pid]: body` or `name: body`.
type Tagged<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, &'a [u8]);

fn tag(text: &[u8]) -> Option<Tagged<'_>> {
    // Longer than the 32 characters of the standard, shorter than a sentence with a colon.
    const NAME_BYTES_MAX: usize = 64;
    let named =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b'@' | b'(' | b')');
    let end = text.iter().take(NAME_BYTES_MAX + 1).position(|b| !named(b))?;
    let (name, rest) = text.split_at(end);
    let (process, rest) = match rest.strip_prefix(b"[") {
        Some(inner) => {
            let end = inner.iter().take(NAME_BYTES_MAX).position(|b| *b == b']')?;
            (Some(&inner[..end]), &inner[end + 1..])
        }
        None => (None, rest),
    };
    let body = rest.strip_prefix(b":")?;
    // `http://…` and `12:30` are no tags.
    if name.is_empty() || name.iter().all(u8::is_ascii_digit) || !matches!(body.first(), None | Some(b' ')) {
        return None;
    }
    Some((Some(name), process.filter(|process| !process.is_empty()), body.strip_prefix(b" ").unwrap_or(body)))
}

/// A word that is not empty, and what follows its space.
pub(super) fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|b| *b == b' ').filter(|end| *end > 0)?;
    Some((&text[..end], &text[end + 1..]))
}

/// A number of digits alone, up to a limit.
pub(super) fn number(digits: &[u8], max: u32) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|number| *number <= max)
}
