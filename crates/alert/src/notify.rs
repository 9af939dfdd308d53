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
mod upstream; // receivers of an alertmanager.yml

pub use channel::{ChannelFault, ChannelSpec, RateLimit};
pub use kinds::{Field, Kind};
pub use letter::Letter;
pub use message::{AlertView, Event, Link, Message, Status};
pub use signature::{Signed, sign, verify};
pub use upstream::{Origin, Upstream, channels};

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
        /// By which mail server; `None` for the server's own.
        relay: Option<Box<Relay>>,
    },
}

/// A mail server that an `alertmanager.yml` names.
#[derive(Clone, PartialEq, Eq)]
pub struct Relay {
    /// Its name or address.
    pub host: String,
    /// Its port; TLS begins at once on 465.
    pub port: u16,
    /// Who letters are from.
    pub from: String,
    /// How we greet it; empty for our own name.
    pub hello: String,
    /// The user there; empty signs in nowhere.
    pub username: String,
    /// The user's password.
    pub password: String,
    /// Whether letters need TLS; else it is used where the server has it.
    pub needs_tls: bool,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
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
