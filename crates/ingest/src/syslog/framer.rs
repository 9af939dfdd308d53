//! A stream of bytes to messages (RFC 6587): octet counting (`LEN SP MSG`) and messages that end with a line
//! feed, told apart message by message as senders mix them.

/// Where in a message the stream stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before a message; the buffer holds what may be a length so far.
    #[default]
    Start,
    /// Inside a message of which so many bytes are to come.
    Counted { left: usize },
    /// Inside a message that ends with a line feed.
    Line,
}

/// Cuts one connection's bytes into messages. What it holds is at most one message.
#[derive(Debug, Default)]
pub struct Framer {
    state: State,
    buffer: Vec<u8>,
    /// Whether the message at hand lost its end.
    cut: bool,
    truncated: u64,
}

impl Framer {
    /// Bytes of a message that are kept; the rest of a longer one is dropped and the message counted.
    pub const MESSAGE_BYTES_MAX: usize = 64 << 10;

    /// Digits of a length. A longer number is not a length but the beginning of a line.
    const LENGTH_DIGITS_MAX: usize = 7;

    /// Takes the next bytes of the stream and hands every complete message on, with whether it lost its end.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8], bool)) {
        while let Some(first) = bytes.first() {
            match self.state {
                State::Start => {
                    let gap = self.buffer.is_empty() && matches!(first, b'\n' | b'\r' | b'\0' | b' ');
                    if gap || self.begin(*first) {
                        bytes = &bytes[1..];
                    }
                }
                State::Counted { left } => {
                    let (here, rest) = bytes.split_at(left.min(bytes.len()));
                    self.keep(here);
                    bytes = rest;
                    self.state = State::Counted { left: left - here.len() };
                    if left == here.len() {
                        self.end(&mut each);
                    }
                }
                State::Line => match bytes.iter().position(|b| *b == b'\n') {
                    Some(end) => {
                        self.keep(&bytes[..end]);
                        bytes = &bytes[end + 1..];
                        self.end(&mut each);
                    }
                    None => {
                        self.keep(bytes);
                        return;
                    }
                },
            }
        }
    }

    /// Ends the stream: what came of an unfinished message is handed on.
    pub fn finish(&mut self, mut each: impl FnMut(&[u8], bool)) {
        if matches!(self.state, State::Counted { .. }) {
            self.cut = true;
        }
        self.end(&mut each);
    }

    /// Messages that lost their end so far, because they were too long or the stream ended inside them.
    pub fn truncated(&self) -> u64 {
        self.truncated
    }

    /// Judges a byte at the start of a message; false when the byte belongs to the state that it led to.
    fn begin(&mut self, byte: u8) -> bool {
        // A length is followed by a space and the `<` of the priority, which no ordinary line looks like.
        let digits = self.buffer.strip_suffix(b" ").unwrap_or(&self.buffer);
        let spaced = digits.len() < self.buffer.len();
        let goes_on = match byte {
            b'0' => !spaced && !digits.is_empty() && digits.len() < Self::LENGTH_DIGITS_MAX,
            b'1'..=b'9' => !spaced && digits.len() < Self::LENGTH_DIGITS_MAX,
            b' ' => !spaced && !digits.is_empty(),
            b'<' if spaced => {
                let left = digits.iter().fold(0, |length, digit| 10 * length + usize::from(digit - b'0'));
                self.buffer.clear();
                self.state = State::Counted { left };
                return false;
            }
            _ => false,
        };
        if goes_on {
            self.buffer.push(byte);
        } else {
            self.state = State::Line;
        }
        goes_on
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = Self::MESSAGE_BYTES_MAX - self.buffer.len();
        self.buffer.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.cut |= bytes.len() > room;
    }

    fn end(&mut self, each: &mut impl FnMut(&[u8], bool)) {
        let message = self.buffer.trim_ascii_end();
        if !message.is_empty() {
            self.truncated += u64::from(self.cut);
            each(message, self.cut);
        }
        self.buffer.clear();
        self.cut = false;
        self.state = State::Start;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn messages(framer: &mut Framer, bytes: &[u8], step: usize) -> Vec<String> {
        let mut messages = vec![];
        let mut each = |message: &[u8], _| messages.push(String::from_utf8_lossy(message).into_owned());
        for piece in bytes.chunks(step) {
            framer.push(piece, &mut each);
        }
        framer.finish(each);
        messages
    }

    #[test]
    fn both_framings_and_their_mixture_are_cut_wherever_the_pieces_end() {
        for (stream, want) in [
            ("<1>a\n<2>b\n", &["<1>a", "<2>b"][..]),
            ("<1>a\r\n\n\0<2>b", &["<1>a", "<2>b"]),
            ("4 <1>a6 <2>b\nc", &["<1>a", "<2>b\nc"]),
            ("4 <1>a\n<2>b\n4 <3>c", &["<1>a", "<2>b", "<3>c"]),
            ("2024-01-01 no priority\n007 <not a length\n", &["2024-01-01 no priority", "007 <not a length"]),
            ("12345678 <1>a\n", &["12345678 <1>a"]),
            ("12 monkeys\n 1\n", &["12 monkeys", "1"]),
            ("99 <1>cut short", &["<1>cut short"]),
            ("", &[]),
            ("\n\n", &[]),
        ] {
            for step in [1, 2, 3, 1000] {
                assert_eq!(
                    messages(&mut Framer::default(), stream.as_bytes(), step),
                    want,
                    "{stream:?} by {step}"
                );
            }
        }
    }

    #[test]
    fn long_messages_lose_their_end_and_are_counted() {
        let long = "x".repeat(3 * Framer::MESSAGE_BYTES_MAX);
        let counted = format!("{} <1>{long}", long.len() + 3);
        for (stream, truncated) in [
            (format!("{long}\n<1>after\n"), 1),
            (format!("{counted}<1>after\n"), 1),
            (format!("{counted}{long}\n<1>after"), 2),
        ] {
            let mut framer = Framer::default();
            let messages = messages(&mut framer, stream.as_bytes(), 1000);
            assert!(messages.iter().all(|m| m.len() <= Framer::MESSAGE_BYTES_MAX));
            assert_eq!((messages.len(), framer.truncated()), (truncated + 1, truncated as u64));
            assert_eq!(messages.last().map(String::as_str), Some("<1>after"));
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(stream in "([0-9]{1,3} |<1>|[a-z\n]){0,40}", step in 1usize..20) {
            let whole = messages(&mut Framer::default(), stream.as_bytes(), stream.len().max(1));
            prop_assert_eq!(messages(&mut Framer::default(), stream.as_bytes(), step), whole);
        }

        #[test]
        fn no_bytes_make_it_panic(stream: Vec<u8>, step in 1usize..20) {
            messages(&mut Framer::default(), &stream, step);
        }
    }
}
