//! MySQL's protocol as MySQL and MariaDB speak it: signing in and one query. By hand, so that the connection leads
//! to the address that was judged while TLS asks for the host's name, and no other RSA comes with it than that of TLS.

use aws_lc_rs::digest::{self, Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::postgres::judge;
use super::stream::{Io, broken};
use crate::check::spec::{DatabaseConfig, Endpoint, SslMode};
use crate::check::tls::{self, Trust};
use crate::check::trace::{Fault, Trace};

/// Largest packet that is read, and how many of them in one answer.
const PACKET_BYTES_MAX: usize = 256 << 10;
const PACKETS_MAX: usize = 10_000;

const LONG_PASSWORD: u32 = 1;
const WITH_DATABASE: u32 = 8;
const PROTOCOL_41: u32 = 0x200;
const TLS: u32 = 0x800;
const TRANSACTIONS: u32 = 0x2000;
const SECURE_CONNECTION: u32 = 0x8000;
const PLUGINS: u32 = 0x8_0000;

/// utf8mb4_general_ci, which every version knows.
const CHARSET: u8 = 45;
const COM_QUIT: u8 = 1;
const COM_QUERY: u8 = 3;
const OK: u8 = 0;
const MORE: u8 = 1;
const NULL: u8 = 0xfb;
const END: u8 = 0xfe;
const ERROR: u8 = 0xff;

/// A connection that packets go through.
struct Session<S> {
    io: S,
    sequence: u8,
    /// Whether it is encrypted.
    tls: bool,
    /// Whether a plugin may have the password as it is: over TLS, or where people allow it.
    clear: bool,
}

/// What the server says first.
#[derive(Debug, PartialEq, Eq)]
struct Greeting {
    version: String,
    capabilities: u32,
    nonce: Vec<u8>,
    plugin: String,
}

pub(super) async fn probe(
    trace: &mut Trace<'_>,
    endpoint: &Endpoint,
    config: &DatabaseConfig,
) -> Result<(), Fault> {
    let stream = trace.connect(endpoint).await?;
    let mut plain =
        Session { io: stream, sequence: 0, tls: false, clear: config.ssl_mode == SslMode::Disable };
    let began = trace.begin("signing in");
    let greeting = plain.receive().await?;
    if greeting.first() == Some(&ERROR) {
        return Err(complaint(&greeting));
    }
    let greeting = Greeting::read(&greeting).ok_or_else(|| Fault::unhealthy("no MySQL answers there"))?;
    trace.text("serverVersion", &greeting.version);
    let mut session = secure(trace, plain, endpoint, config, &greeting).await?;
    session.sign_in(config, greeting).await?;
    let signed_in = trace.since(began);
    trace.value("signInMs", signed_in);
    let began = trace.begin("running the query");
    match &config.query {
        Some(query) => {
            session.query("SET SESSION TRANSACTION READ ONLY").await?;
            judge(session.query(query).await?, config)?;
        }
        None => judge(session.query("SELECT 1").await?, config)?,
    }
    let queried = trace.since(began);
    trace.value("queryMs", queried);
    session.sequence = 0;
    // The answer is known; a server that does not hear the farewell loses nothing.
    let _ = session.send(&[COM_QUIT]).await;
    Ok(())
}

async fn secure(
    trace: &mut Trace<'_>,
    mut plain: Session<TcpStream>,
    endpoint: &Endpoint,
    config: &DatabaseConfig,
    greeting: &Greeting,
) -> Result<Session<Io>, Fault> {
    let offered = greeting.capabilities & TLS != 0;
    match config.ssl_mode {
        SslMode::Require | SslMode::VerifyFull if !offered => {
            return Err(Fault::unhealthy("the server does not speak TLS"));
        }
        SslMode::Prefer | SslMode::Require | SslMode::VerifyFull if offered => {}
        _ => {
            return Ok(Session {
                io: Box::new(plain.io),
                sequence: plain.sequence,
                tls: false,
                clear: plain.clear,
            });
        }
    }
    plain.send(&head(capabilities(config) | TLS)).await?;
    let trust = if config.ssl_mode == SslMode::VerifyFull { Trust::Needed } else { Trust::Noted };
    let secured = tls::secure(trace, plain.io, &endpoint.host, &config.tls, &[], trust).await?;
    trace.begin("signing in");
    Ok(Session { io: Box::new(secured.stream), sequence: plain.sequence, tls: true, clear: true })
}

fn capabilities(config: &DatabaseConfig) -> u32 {
    let always = LONG_PASSWORD | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGINS;
    if config.database.is_some() { always | WITH_DATABASE } else { always }
}

/// The first 32 bytes of the answer to the greeting, which are also the request for TLS.
fn head(capabilities: u32) -> Vec<u8> {
    let mut head = capabilities.to_le_bytes().to_vec();
    head.extend_from_slice(&(PACKET_BYTES_MAX as u32).to_le_bytes());
    head.push(CHARSET);
    head.resize(32, 0);
    head
}

impl Greeting {
    fn read(packet: &[u8]) -> Option<Self> {
        let (10, rest) = packet.split_first().map(|(version, rest)| (*version, rest))? else { return None };
        let (version, rest) = text(rest)?;
        // Connection, 8 bytes of nonce, filler, low capabilities, character set, status, high ones.
        let mut nonce = rest.get(4..12)?.to_vec();
        let word = |at: usize| Some(u32::from(u16::from_le_bytes(rest.get(at..at + 2)?.try_into().ok()?)));
        let capabilities = word(13)? | word(18)? << 16;
        let more = usize::from(*rest.get(20)?).saturating_sub(8).max(13);
        let rest = rest.get(31..)?;
        let (part, rest) = rest.split_at_checked(more.min(rest.len()))?;
        nonce.extend_from_slice(part.strip_suffix(&[0]).unwrap_or(part));
        let plugin = text(rest).map_or_else(|| String::from_utf8_lossy(rest).into_owned(), |(name, _)| name);
        Some(Self { version, capabilities, nonce, plugin })
    }
}

/// A text that ends with a zero, and what follows.
fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((String::from_utf8_lossy(&bytes[..end]).into_owned(), &bytes[end + 1..]))
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Session<S> {
    async fn send(&mut self, content: &[u8]) -> Result<(), Fault> {
        let mut packet = (content.len() as u32).to_le_bytes()[..3].to_vec();
        packet.push(self.sequence);
        packet.extend_from_slice(content);
        self.sequence = self.sequence.wrapping_add(1);
        self.io.write_all(&packet).await.map_err(broken)
    }

    async fn receive(&mut self) -> Result<Vec<u8>, Fault> {
        let mut head = [0; 4];
        self.io.read_exact(&mut head).await.map_err(broken)?;
        let length = u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
        if length > PACKET_BYTES_MAX {
            return Err(Fault::unhealthy("no MySQL answers there, or with a packet that is too long"));
        }
        self.sequence = head[3].wrapping_add(1);
        let mut content = vec![0; length];
        self.io.read_exact(&mut content).await.map_err(broken)?;
        Ok(content)
    }

    async fn sign_in(&mut self, config: &DatabaseConfig, greeting: Greeting) -> Result<(), Fault> {
        let password = config.password.as_ref().map_or("", |password| password.reveal());
        let user = if config.username.is_empty() { "root" } else { &config.username };
        let (mut plugin, mut nonce) = (greeting.plugin, greeting.nonce);
        let proof = self.proof(&plugin, password, &nonce).unwrap_or_default();
        let tls = if self.tls { TLS } else { 0 };
        let mut answer = head(capabilities(config) | tls);
        answer.extend_from_slice(user.as_bytes());
        answer.push(0);
        answer.push(u8::try_from(proof.len()).map_err(|_| Fault::unknown("the password is too long"))?);
        answer.extend_from_slice(&proof);
        for part in config.database.iter().map(String::as_str).chain([plugin.as_str()]) {
            answer.extend_from_slice(part.as_bytes());
            answer.push(0);
        }
        self.send(&answer).await?;
        for _ in 0..PACKETS_MAX {
            let packet = self.receive().await?;
            let malformed = || Fault::unhealthy("the server's request to sign in is malformed");
            match packet.split_first() {
                Some((&OK, _)) => return Ok(()),
                Some((&ERROR, _)) => return Err(complaint(&packet)),
                Some((&END, rest)) => {
                    let (name, rest) = text(rest).ok_or_else(malformed)?;
                    (plugin, nonce) = (name, rest.strip_suffix(&[0]).unwrap_or(rest).to_vec());
                    let proof = self.proof(&plugin, password, &nonce)?;
                    self.send(&proof).await?;
                }
                Some((&MORE, rest)) => self.more(rest, password, &nonce).await?,
                _ => return Err(malformed()),
            }
        }
        Err(Fault::unhealthy("the server does not come to an end with signing in"))
    }

    /// What proves to a plugin that the password is known.
    fn proof(&self, plugin: &str, password: &str, nonce: &[u8]) -> Result<Vec<u8>, Fault> {
        match plugin {
            _ if password.is_empty() && plugin.ends_with("_password") && plugin != "mysql_clear_password" => {
                Ok(Vec::new())
            }
            "mysql_native_password" => Ok(native(password, nonce)),
            "caching_sha2_password" => Ok(caching(password, nonce)),
            "mysql_clear_password" if self.clear => Ok([password.as_bytes(), &[0]].concat()),
            "mysql_clear_password" => Err(Fault::unhealthy(
                "the server wants the password in the clear; use TLS, or allow it with sslMode \"disable\"",
            )),
            other => Err(Fault::unhealthy(format!(
                "the server wants to sign in by {other:?}; caching_sha2_password and mysql_native_password work"
            ))),
        }
    }

    /// The longer way of caching_sha2_password: the password itself, over TLS or under the server's key.
    async fn more(&mut self, content: &[u8], password: &str, nonce: &[u8]) -> Result<(), Fault> {
        match content {
            // The server remembers the password; OK follows.
            [3] => Ok(()),
            [4] if self.tls => self.send(&[password.as_bytes(), &[0]].concat()).await,
            [4] => self.send(&[2]).await,
            key => {
                let sealed = seal(key, password, nonce).ok_or_else(|| {
                    Fault::unhealthy("the server's key for passwords cannot be used; use TLS")
                })?;
                self.send(&sealed).await
            }
        }
    }

    /// The first column of the first row, as text.
    async fn query(&mut self, query: &str) -> Result<Option<String>, Fault> {
        self.sequence = 0;
        self.send(&[&[COM_QUERY], query.as_bytes()].concat()).await?;
        let first = self.receive().await?;
        match first.first() {
            Some(&OK) => return Ok(None),
            Some(&ERROR) => return Err(complaint(&first)),
            _ => {}
        }
        // Columns, an end, rows, an end.
        let (mut ends, mut value, mut rows) = (0, None, 0);
        for _ in 0..PACKETS_MAX {
            let packet = self.receive().await?;
            match packet.first() {
                Some(&ERROR) => return Err(complaint(&packet)),
                Some(&END) if packet.len() < 9 => ends += 1,
                _ if ends == 1 => {
                    if rows == 0 {
                        value = column(&packet);
                    }
                    rows += 1;
                }
                _ => {}
            }
            if ends == 2 {
                return Ok(value);
            }
        }
        Err(Fault::unhealthy(format!("the query gives more than {PACKETS_MAX} rows")))
    }
}

/// The first column of a row, behind its length; `None` when it is null.
fn column(row: &[u8]) -> Option<String> {
    let (&first, rest) = row.split_first()?;
    let (width, length) = match first {
        NULL => return None,
        0xfc => (2, u32::from(u16::from_le_bytes(rest.get(..2)?.try_into().ok()?))),
        0xfd => (3, u32::from_le_bytes([rest.first().copied()?, *rest.get(1)?, *rest.get(2)?, 0])),
        short => (0, u32::from(short)),
    };
    let end = usize::try_from(length).ok()?.checked_add(width)?;
    Some(String::from_utf8_lossy(rest.get(width..end)?).into_owned())
}

fn hash(algorithm: &'static Algorithm, parts: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}

fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(left, right)| left ^ right).collect()
}

/// SHA1(password) XOR SHA1(nonce, SHA1(SHA1(password))).
fn native(password: &str, nonce: &[u8]) -> Vec<u8> {
    let once = hash(&SHA1_FOR_LEGACY_USE_ONLY, &[password.as_bytes()]);
    let twice = hash(&SHA1_FOR_LEGACY_USE_ONLY, &[&once]);
    xor(&once, &hash(&SHA1_FOR_LEGACY_USE_ONLY, &[nonce, &twice]))
}

/// SHA256(password) XOR SHA256(SHA256(SHA256(password)), nonce).
fn caching(password: &str, nonce: &[u8]) -> Vec<u8> {
    let once = hash(&SHA256, &[password.as_bytes()]);
    let twice = hash(&SHA256, &[&once]);
    xor(&once, &hash(&SHA256, &[&twice, nonce]))
}

/// The password, mixed with the nonce, under a public key in PEM (RSA-OAEP with SHA-1, as MySQL defines).
fn seal(pem: &[u8], password: &str, nonce: &[u8]) -> Option<Vec<u8>> {
    let key = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&key).ok()?).ok()?;
    let plain: Vec<u8> = [password.as_bytes(), &[0]].concat();
    let mixed: Vec<u8> = plain.iter().zip(nonce.iter().cycle()).map(|(byte, nonce)| byte ^ nonce).collect();
    let mut sealed = vec![0; key.ciphertext_size()];
    Some(key.encrypt(&OAEP_SHA1_MGF1SHA1, &mixed, &mut sealed, None).ok()?.to_vec())
}

/// An error packet: its code and message.
fn complaint(packet: &[u8]) -> Fault {
    let code = packet.get(1..3).map_or(0, |code| u16::from_le_bytes([code[0], code[1]]));
    let rest = packet.get(3..).unwrap_or_default();
    // The state of SQL, behind a mark, is not there before the greeting was answered.
    let message = if rest.first() == Some(&b'#') { rest.get(6..).unwrap_or_default() } else { rest };
    Fault::unhealthy(format!("the server says: {code}: {}", String::from_utf8_lossy(message)))
}

#[cfg(test)]
mod tests;
