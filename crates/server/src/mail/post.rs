//! The mail server, as `[smtp]` names it.

use std::path::Path;
use std::time::Duration;

use kit::config::settings::{Smtp, SmtpTls};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::letter::Letter;

/// Longest wait for a mail server that a file names.
const RELAY_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a letter was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SendError {
    /// It may be taken later.
    Later(String),
    /// It never will be.
    Never(String),
}

/// The way to the mail server.
pub(super) struct Post {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Post {
    /// Checks the settings; the error names the one that is wrong. Talks to nobody.
    pub(super) fn new(settings: &Smtp, external_url: &str) -> Result<Self, String> {
        let from: Mailbox = settings.from.parse().map_err(|error| {
            format!("smtp.from: {:?}: {error}; write Bellwether <bellwether@example.com>", settings.from)
        })?;
        let port = u16::try_from(settings.port).map_err(|error| format!("smtp.port: {error}"))?;
        let tls = match settings.tls {
            SmtpTls::Off if is_loopback(&settings.host) => Tls::None,
            SmtpTls::Off => {
                let host = &settings.host;
                return Err(format!(
                    "smtp.tls: \"off\" would send links and passwords in the clear to {host}: use \"starttls\" or \
                     \"implicit\""
                ));
            }
            SmtpTls::StartTls => Tls::Required(tls_of(settings)?),
            SmtpTls::Implicit => Tls::Wrapper(tls_of(settings)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.as_str())
            .port(port)
            .tls(tls)
            .timeout(Some(settings.timeout));
        if let Some(name) =
            url::Url::parse(external_url).ok().and_then(|url| url.host_str().map(str::to_owned))
        {
            builder = builder.hello_name(ClientId::Domain(name));
        }
        if !settings.username.is_empty() {
            builder =
                builder.credentials(Credentials::new(settings.username.clone(), password_of(settings)?));
        }
        Ok(Self { transport: builder.build(), from })
    }

    /// The way to a mail server that an `alertmanager.yml` names, as Alertmanager goes it: TLS from the start on port 465,
    /// else STARTTLS where the server has it, or where it is needed.
    pub(super) fn to_relay(relay: &alert::notify::Relay) -> Result<Self, String> {
        let from: Mailbox = relay.from.parse().map_err(|error| format!("from: {:?}: {error}", relay.from))?;
        let parameters =
            || TlsParameters::builder(relay.host.clone()).build().map_err(|error| error.to_string());
        let tls = match (relay.port, relay.needs_tls) {
            (465, _) => Tls::Wrapper(parameters()?),
            (_, true) => Tls::Required(parameters()?),
            (_, false) => Tls::Opportunistic(parameters()?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(relay.host.as_str())
            .port(relay.port)
            .tls(tls)
            .timeout(Some(RELAY_TIMEOUT));
        if !relay.hello.is_empty() {
            builder = builder.hello_name(ClientId::Domain(relay.hello.clone()));
        }
        if !relay.username.is_empty() {
            builder = builder.credentials(Credentials::new(relay.username.clone(), relay.password.clone()));
        }
        Ok(Self { transport: builder.build(), from })
    }

    /// Sends a notification. Every attempt at it has the same `Message-ID`, and all that is told of one thing the same
    /// `References`, so that programs show no doubles and put together what belongs together.
    pub(super) async fn notify(
        &self,
        to: &[String],
        letter: &alert::notify::Letter,
    ) -> Result<(), SendError> {
        let never = |reason: String| SendError::Never(reason);
        let domain = self.from.email.domain();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(letter.subject.as_str())
            .message_id(Some(format!("<{}@{domain}>", letter.id)))
            .references(format!("<{:016x}@{domain}>", hash(&letter.thread)));
        for to in to {
            let address: Address = to.parse().map_err(|_| never(format!("{to:?} cannot be written to")))?;
            builder = builder.to(Mailbox::new(None, address));
        }
        if letter.urgent {
            builder = builder
                .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("X-Priority"), "1".to_owned()));
        }
        for (name, value) in &letter.headers {
            let known = HeaderName::new_from_ascii(name.clone())
                .map_err(|_| never(format!("{name:?} is no name of a header")))?;
            builder = builder.raw_header(HeaderValue::new(known, value.clone()));
        }
        let parts = match (letter.text.is_empty(), letter.html.is_empty()) {
            (true, false) => MultiPart::mixed().singlepart(SinglePart::html(letter.html.clone())),
            (false, true) => MultiPart::mixed().singlepart(SinglePart::plain(letter.text.clone())),
            _ => MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()),
        };
        let message = builder.multipart(parts).map_err(|error| never(error.to_string()))?;
        self.hand_over(message).await
    }

    pub(super) async fn send(&self, letter: &Letter) -> Result<(), SendError> {
        let never = |reason: String| SendError::Never(reason);
        let to: Address =
            letter.to.parse().map_err(|_| never("the address cannot be written to".to_owned()))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject.as_str())
            .multipart(MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone()))
            .map_err(|error| never(error.to_string()))?;
        self.hand_over(message).await
    }

    async fn hand_over(&self, message: Message) -> Result<(), SendError> {
        let never = |reason: String| SendError::Never(reason);
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            // An address that is refused stays so; a wrong password is the operator's to mend.
            Err(error) if error.is_permanent() && !is_about_us(&error) => Err(never(error.to_string())),
            Err(error) => Err(SendError::Later(error.to_string())),
        }
    }
}

/// A short name for what belongs together, however long its own is (FNV-1a).
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Permanent answers that are about the sign-in, not about the letter (RFC 4954).
fn is_about_us(error: &lettre::transport::smtp::Error) -> bool {
    error.status().is_some_and(|code| matches!(u16::from(code), 530 | 534 | 535 | 538))
}

fn tls_of(settings: &Smtp) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(settings.host.clone());
    if !settings.ca_file.is_empty() {
        let said = |error: String| format!("smtp.ca_file: {}: {error}", settings.ca_file);
        let pem = std::fs::read(Path::new(&settings.ca_file)).map_err(|error| said(error.to_string()))?;
        let authority = Certificate::from_pem(&pem).map_err(|error| said(error.to_string()))?;
        builder = builder.add_root_certificate(authority);
    }
    builder.build().map_err(|error| format!("smtp.tls: {error}"))
}

fn password_of(settings: &Smtp) -> Result<String, String> {
    match (settings.password.expose(), settings.password_file.as_str()) {
        ("", "") => Err("smtp.username needs smtp.password_file or smtp.password".to_owned()),
        (password, "") => Ok(password.to_owned()),
        ("", file) => {
            let read = std::fs::read_to_string(Path::new(file));
            let text = read.map_err(|error| format!("smtp.password_file: {file}: {error}"))?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        _ => Err("name smtp.password or smtp.password_file, not both".to_owned()),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smtp(change: impl Fn(&mut Smtp)) -> Result<(), String> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut settings = kit::Settings::default().smtp;
        settings.host = "127.0.0.1".to_owned();
        settings.from = "Bellwether <bw@bw.example>".to_owned();
        change(&mut settings);
        Post::new(&settings, "https://bw.example").map(drop)
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_goes_out_in_the_clear() {
        assert_eq!(smtp(|_| {}), Ok(()));
        assert_eq!(smtp(|s| s.tls = SmtpTls::Off), Ok(()), "to this machine");
        type Row = (fn(&mut Smtp), &'static str);
        let rows: [Row; 6] = [
            (|s| s.from = "nobody".into(), "smtp.from"),
            (|s| (s.tls, s.host) = (SmtpTls::Off, "mail.example".into()), "smtp.tls"),
            (|s| s.ca_file = "/nothing".into(), "smtp.ca_file"),
            (|s| s.username = "u".into(), "smtp.password_file"),
            (|s| (s.username, s.password_file) = ("u".into(), "/nothing".into()), "smtp.password_file"),
            (|s| (s.tls, s.host) = (SmtpTls::Off, "localhost.evil.example".into()), "smtp.tls"),
        ];
        for (change, want) in rows {
            let said = smtp(change).unwrap_err();
            assert!(said.contains(want), "{want}: {said}");
        }
    }
}
