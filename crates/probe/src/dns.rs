//! Messages of the domain name system (RFC 1035): questions, and names inside answers.

/// Pointers followed inside one name, and labels of it: more than any valid name has.
const NAME_STEPS_MAX: usize = 128;

/// Class of the internet.
pub(crate) const CLASS_IN: u16 = 1;

/// A question that asks the server to find the answer itself.
pub(crate) fn question(id: u16, name: &str, code: u16) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(32 + name.len());
    for word in [id, 0x0100, 1, 0, 0, 0] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(format!("{name:?} is no domain name"));
        }
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    if name.len() > 253 {
        return Err(format!("the name is {} bytes long, at most 253 are allowed", name.len()));
    }
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&CLASS_IN.to_be_bytes());
    Ok(out)
}

/// Two bytes, the first of them at `at`.
pub(crate) fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// Where the name that begins here ends.
pub(crate) fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..NAME_STEPS_MAX {
        match *message.get(at)? {
            0 => return Some(at + 1),
            pointer if pointer & 0xc0 == 0xc0 => return Some(at + 2),
            length if length & 0xc0 == 0 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
    None
}

/// The name that begins here, with a closing dot.
pub(crate) fn name_at(message: &[u8], mut at: usize) -> Option<String> {
    let mut name = String::new();
    for _ in 0..NAME_STEPS_MAX {
        match *message.get(at)? {
            0 => return Some(if name.is_empty() { ".".into() } else { name }),
            pointer if pointer & 0xc0 == 0xc0 => at = usize::from(u16_at(message, at)? & 0x3fff),
            length if length & 0xc0 == 0 => {
                let end = at + 1 + usize::from(length);
                name.push_str(&String::from_utf8_lossy(message.get(at + 1..end)?));
                name.push('.');
                at = end;
            }
            _ => return None,
        }
    }
    None
}
