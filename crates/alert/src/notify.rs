//! Ways to reach people. A channel's kind turns a [`Message`] into something to be sent: a request or a letter. Nothing
//! is sent here.
//!
//! The kinds over HTTP are rows of a table ([`kinds`]): what must be set, where the request goes, what the provider takes
//! and how much of it.

mod channel; // what people set up
mod chat; // bodies for chats
mod kinds; // the table
mod letter; // mail
mod message; // what is told
mod pager; // bodies for pagers, phones and programs
mod signature; // who sent it
#[cfg(test)]
mod tests;
mod text; // cutting to a length

pub use channel::{ChannelFault, ChannelSpec, RateLimit};
pub use kinds::{Field, Kind};
pub use letter::Letter;
pub use message::{AlertView, Event, Link, Message, Status};
pub use signature::{Signed, sign, verify};

/// Something to be sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Outgoing {
    /// A request; the answer's status says whether it was taken.
    Http(Request),
    /// A letter for each of these addresses.
    Mail {
        /// Who gets it.
        to: Vec<String>,
        /// What they read.
        letter: Letter,
    },
}

/// A request to a provider.
#[derive(Clone, PartialEq)]
pub struct Request {
    /// Where to. It may hold a secret, so it is not printed.
    pub url: String,
    /// Beside the type of the body. They may hold secrets.
    pub headers: Vec<(String, String)>,
    /// Type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host = url::Url::parse(&self.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        f.debug_struct("Request")
            .field("host", &host)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
