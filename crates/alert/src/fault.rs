//! What is wrong with what people wrote, and bounds that many of their objects share.

/// Bytes of an e-mail address (RFC 5321, section 4.5.3.1.3, without the brackets).
const ADDRESS_BYTES_MAX: usize = 254;

/// What is wrong, where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Fault {
    /// Where, as in `layers[1].people[0]`.
    pub field: String,
    /// What was given and what would do.
    pub message: String,
}

impl Fault {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// The start of a text, to be shown in a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

/// A text of several lines: not longer than `max` bytes, without NUL, which PostgreSQL's TEXT cannot hold.
pub(crate) fn check_text(field: &str, text: &str, max: usize) -> Result<(), Fault> {
    if text.len() > max {
        return Err(Fault::new(field, format!("has {} bytes; at most {max} are kept", text.len())));
    }
    match text.contains('\0') {
        true => Err(Fault::new(field, "holds a NUL character; leave it out")),
        false => Ok(()),
    }
}

/// A text of one line that says something.
pub(crate) fn check_line(field: &str, text: &str, max: usize) -> Result<(), Fault> {
    check_text(field, text, max)?;
    if text.trim().is_empty() {
        return Err(Fault::new(field, "is empty; write something"));
    }
    match text.chars().any(char::is_control) {
        true => Err(Fault::new(field, "holds line breaks or control characters; write one line")),
        false => Ok(()),
    }
}

/// The length of a list.
pub(crate) fn check_count(field: &str, count: usize, least: usize, most: usize) -> Result<(), Fault> {
    match (least..=most).contains(&count) {
        true => Ok(()),
        false => Err(Fault::new(field, format!("has {count} entries; write {least} to {most}"))),
    }
}

/// The e-mail address of a member.
pub(crate) fn check_person(field: &str, text: &str) -> Result<(), Fault> {
    let parts = text.rsplit_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    match parts.is_some() && plain && text.len() <= ADDRESS_BYTES_MAX {
        true => Ok(()),
        false => Err(Fault::new(
            field,
            format!("{:?} is not a member's e-mail address; write one such as ann@example.com", shown(text)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_are_people() {
        for (text, good) in [
            ("ann@example.com", true),
            ("o'neill+x@example.com", true),
            ("ann", false),
            ("@example.com", false),
            ("ann@", false),
            ("ann @example.com", false),
            ("ann@example.com\n", false),
        ] {
            assert_eq!(check_person("person", text).is_ok(), good, "{text:?}");
        }
        assert!(check_person("person", &format!("{}@b", "a".repeat(254))).is_err());
    }

    #[test]
    fn a_line_is_one_line() {
        for (text, good) in [("a", true), ("ä b", true), (" ", false), ("a\nb", false), ("a\0", false)] {
            assert_eq!(check_line("title", text, 10).is_ok(), good, "{text:?}");
        }
        assert!(check_line("title", "elf letters", 10).is_err());
    }
}
