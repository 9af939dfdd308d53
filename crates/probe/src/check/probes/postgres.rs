//! PostgreSQL's protocol, version 3: signing in and one simple query. By hand, so that the connection leads to the
//! address that was judged while TLS asks for the host's name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use md5::{Digest, Md5};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::scram::Scram;
use super::stream::{Io, broken};
use crate::check::spec::{DatabaseConfig, Endpoint, SslMode, shown};
use crate::check::tls::{self, Trust};
use crate::check::trace::{Fault, Trace};

/// 3.0.
const PROTOCOL: u32 = 196_608;
/// A request for TLS instead of a version.
const SSL_REQUEST: u32 = 80_877_103;

/// Largest message that is read, and how many of them until the server is ready.
const MESSAGE_BYTES_MAX: usize = 256 << 10;
const MESSAGES_MAX: usize = 10_000;

/// A connection that messages go through.
struct Session {
    io: Io,
    /// Whether a password may be sent as it is.
    clear: bool,
}

pub(super) async fn probe(
    trace: &mut Trace<'_>,
    endpoint: &Endpoint,
    config: &DatabaseConfig,
) -> Result<(), Fault> {
    let mut session = open(trace, endpoint, config).await?;
    let began = trace.begin("signing in");
    session.sign_in(trace, config).await?;
    let signed_in = trace.since(began);
    trace.value("signInMs", signed_in);
    let began = trace.begin("running the query");
    if let Some(query) = &config.query {
        // Another statement, so that the query cannot be joined with it.
        session.query("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY").await?;
        judge(session.query(query).await?, config)?;
    } else {
        judge(session.query("SELECT 1").await?, config)?;
    }
    let queried = trace.since(began);
    trace.value("queryMs", queried);
    // The answer is known; a server that does not hear the farewell loses nothing.
    let _ = session.send(b'X', &[]).await;
    Ok(())
}

/// Judges the first column of the first row.
pub(super) fn judge(value: Option<String>, config: &DatabaseConfig) -> Result<(), Fault> {
    let Some(expected) = &config.expect else { return Ok(()) };
    if value.as_ref() == Some(expected) {
        return Ok(());
    }
    let quoted = |text: &String| shown(&serde_json::Value::String(text.clone()));
    let is = value.as_ref().map_or_else(|| "nothing".to_owned(), quoted);
    Err(Fault::unhealthy(format!("the query gives {is}, expected: {}", quoted(expected))))
}

async fn open(trace: &mut Trace<'_>, endpoint: &Endpoint, config: &DatabaseConfig) -> Result<Session, Fault> {
    let mut stream = trace.connect(endpoint).await?;
    if config.ssl_mode == SslMode::Disable {
        return Ok(Session { io: Box::new(stream), clear: true });
    }
    trace.begin("asking for TLS");
    let mut request = 8u32.to_be_bytes().to_vec();
    request.extend_from_slice(&SSL_REQUEST.to_be_bytes());
    stream.write_all(&request).await.map_err(broken)?;
    match stream.read_u8().await.map_err(broken)? {
        b'S' => {
            let trust = if config.ssl_mode == SslMode::VerifyFull { Trust::Needed } else { Trust::Noted };
            let secured =
                tls::secure(trace, stream, &endpoint.host, &config.tls, &[b"postgresql"], trust).await?;
            Ok(Session { io: Box::new(secured.stream), clear: true })
        }
        b'N' if config.ssl_mode == SslMode::Prefer => Ok(Session { io: Box::new(stream), clear: false }),
        b'N' => Err(Fault::unhealthy("the server does not speak TLS")),
        _ => Err(Fault::unhealthy("no PostgreSQL answers there")),
    }
}

impl Session {
    async fn send(&mut self, kind: u8, content: &[u8]) -> Result<(), Fault> {
        let mut message = vec![kind];
        message.extend_from_slice(&(content.len() as u32 + 4).to_be_bytes());
        message.extend_from_slice(content);
        self.io.write_all(&message).await.map_err(broken)
    }

    /// The next message that is no notice; an error of the server is a fault.
    async fn receive(&mut self) -> Result<(u8, Vec<u8>), Fault> {
        for _ in 0..MESSAGES_MAX {
            let kind = self.io.read_u8().await.map_err(broken)?;
            let length = self.io.read_u32().await.map_err(broken)? as usize;
            let length = length.checked_sub(4).filter(|length| *length <= MESSAGE_BYTES_MAX);
            let Some(length) = length else {
                return Err(Fault::unhealthy(
                    "no PostgreSQL answers there, or with a message that is too long",
                ));
            };
            let mut content = vec![0; length];
            self.io.read_exact(&mut content).await.map_err(broken)?;
            match kind {
                b'E' => return Err(Fault::unhealthy(complaint(&content))),
                b'N' | b'A' => {}
                kind => return Ok((kind, content)),
            }
        }
        Err(Fault::unhealthy("the server sends notices without end"))
    }

    async fn sign_in(&mut self, trace: &mut Trace<'_>, config: &DatabaseConfig) -> Result<(), Fault> {
        let user = if config.username.is_empty() { "postgres" } else { &config.username };
        let database = config.database.as_deref().unwrap_or(user);
        let mut content = PROTOCOL.to_be_bytes().to_vec();
        for text in ["user", user, "database", database, "application_name", "bellwether", ""] {
            content.extend_from_slice(text.as_bytes());
            content.push(0);
        }
        let mut message = (content.len() as u32 + 4).to_be_bytes().to_vec();
        message.extend_from_slice(&content);
        self.io.write_all(&message).await.map_err(broken)?;
        let password = config.password.as_ref().map_or("", |password| password.reveal());
        let mut scram = None;
        for _ in 0..MESSAGES_MAX {
            let (kind, content) = self.receive().await?;
            match kind {
                b'R' => self.authenticate(&content, user, password, &mut scram).await?,
                b'S' => {
                    let mut texts = content.split(|byte| *byte == 0).map(String::from_utf8_lossy);
                    if texts.next().as_deref() == Some("server_version") {
                        trace.text("serverVersion", &texts.next().unwrap_or_default());
                    }
                }
                b'Z' => return Ok(()),
                _ => {}
            }
        }
        Err(Fault::unhealthy("the server does not come to an end with signing in"))
    }

    async fn authenticate(
        &mut self,
        content: &[u8],
        user: &str,
        password: &str,
        scram: &mut Option<Scram>,
    ) -> Result<(), Fault> {
        let malformed = || Fault::unhealthy("the server's request to sign in is malformed");
        let (method, rest) = content.split_at_checked(4).ok_or_else(malformed)?;
        match (method[3], scram.as_mut()) {
            (0, _) => Ok(()),
            (3, _) if !self.clear => Err(Fault::unhealthy(
                "the server wants the password in the clear; use TLS, or allow it with sslMode \"disable\"",
            )),
            (3, _) => self.send(b'p', format!("{password}\0").as_bytes()).await,
            (5, _) => {
                let inner = hex(&Md5::new().chain_update(password).chain_update(user).finalize());
                let outer = hex(&Md5::new().chain_update(inner).chain_update(rest).finalize());
                self.send(b'p', format!("md5{outer}\0").as_bytes()).await
            }
            (10, _) => {
                let offered = rest.split(|byte| *byte == 0);
                if !offered.into_iter().any(|name| name == b"SCRAM-SHA-256") {
                    return Err(Fault::unhealthy("the server offers no SCRAM-SHA-256"));
                }
                let mut nonce = [0; 18];
                getrandom::fill(&mut nonce).map_err(|e| Fault::unknown(e.to_string()))?;
                let begun = scram.insert(Scram::new(STANDARD_NO_PAD.encode(nonce)));
                let first = begun.first();
                let mut content = b"SCRAM-SHA-256\0".to_vec();
                content.extend_from_slice(&(first.len() as u32).to_be_bytes());
                content.extend_from_slice(first.as_bytes());
                self.send(b'p', &content).await
            }
            (11, Some(begun)) => {
                let challenge = String::from_utf8_lossy(rest);
                let answer = begun.answer(&challenge, password).map_err(Fault::unhealthy)?;
                self.send(b'p', answer.as_bytes()).await
            }
            (12, Some(begun)) => begun.finish(&String::from_utf8_lossy(rest)).map_err(Fault::unhealthy),
            (other, _) => Err(Fault::unhealthy(format!("the server wants to sign in by method {other}"))),
        }
    }

    /// The first column of the first row, as text.
    async fn query(&mut self, query: &str) -> Result<Option<String>, Fault> {
        self.send(b'Q', format!("{}\0", query.replace('\0', "")).as_bytes()).await?;
        let mut value = None;
        let mut rows = 0;
        for _ in 0..MESSAGES_MAX {
            let (kind, content) = self.receive().await?;
            match kind {
                b'D' => {
                    if rows == 0 {
                        value = column(&content);
                    }
                    rows += 1;
                }
                b'Z' => return Ok(value),
                _ => {}
            }
        }
        Err(Fault::unhealthy(format!("the query gives more than {MESSAGES_MAX} rows")))
    }
}

/// The first column of a row; `None` when it is null.
fn column(row: &[u8]) -> Option<String> {
    let length = u32::from_be_bytes(row.get(2..6)?.try_into().ok()?);
    let end = usize::try_from(length).ok()?.checked_add(6)?;
    Some(String::from_utf8_lossy(row.get(6..end)?).into_owned())
}

/// An error of the server: its severity, code and message.
fn complaint(content: &[u8]) -> String {
    let field = |key: u8| {
        let mut fields = content.split(|byte| *byte == 0);
        let found = fields.find(|field| field.first() == Some(&key)).map(|field| &field[1..]);
        String::from_utf8_lossy(found.unwrap_or_default()).into_owned()
    };
    format!("the server says: {} {}: {}", field(b'S'), field(b'C'), field(b'M'))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
