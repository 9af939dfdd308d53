//! TCP ports and certificates, and the streams that other probes speak over.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::check::spec::{Endpoint, TcpConfig, TlsConfig, TlsOptions};
use crate::check::tls::{self, Trust};
use crate::check::trace::{Fault, Trace, plain};

/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

const DAY_MS: i64 = 86_400_000;

/// Anything that bytes go through.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, secured or not.
pub(super) type Io = Box<dyn Stream>;

/// Connects, and secures the connection where the endpoint asks for it.
pub(super) async fn open(
    trace: &mut Trace<'_>,
    endpoint: &Endpoint,
    options: &TlsOptions,
    alpn: &[&[u8]],
) -> Result<Io, Fault> {
    let stream = trace.connect(endpoint).await?;
    if !endpoint.tls {
        return Ok(Box::new(stream));
    }
    let secured = tls::secure(trace, stream, &endpoint.host, options, alpn, Trust::Needed).await?;
    Ok(Box::new(secured.stream))
}

/// A fault of reading or writing.
pub(super) fn broken(error: std::io::Error) -> Fault {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return Fault::unhealthy("the connection was closed before the answer was complete");
    }
    Fault::unhealthy(format!("the connection broke: {}", plain(&error)))
}

pub(super) async fn tcp(trace: &mut Trace<'_>, endpoint: &Endpoint, config: &TcpConfig) -> Result<(), Fault> {
    let mut stream = trace.connect(endpoint).await?;
    let sent = trace.begin("waiting for the expected text");
    if let Some(text) = &config.send {
        stream.write_all(text.as_bytes()).await.map_err(broken)?;
    }
    let Some(expected) = &config.expect else { return Ok(()) };
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !contains(&answer, expected.as_bytes()) {
        let length = stream.read(&mut buffer).await.map_err(broken)?;
        if trace.details.timings.first_byte.is_none() {
            trace.details.timings.first_byte = Some(trace.since(sent));
        }
        answer.extend_from_slice(&buffer[..length]);
        if length == 0 || answer.len() > ANSWER_BYTES_MAX {
            let message = format!("the answer ({} bytes) does not hold the expected text", answer.len());
            return Err(Fault::unhealthy(message));
        }
    }
    Ok(())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

pub(super) async fn tls(trace: &mut Trace<'_>, endpoint: &Endpoint, config: &TlsConfig) -> Result<(), Fault> {
    let stream = trace.connect(endpoint).await?;
    let mut secured = tls::secure(trace, stream, &endpoint.host, &config.tls, &[], Trust::Noted).await?;
    // What was wanted is known; a server that does not hear the farewell loses nothing.
    let _ = secured.stream.shutdown().await;
    for name in &config.names {
        let leaf = secured.certificates.first();
        if !leaf.is_some_and(|leaf| tls::is_for(leaf, name)) {
            return Err(Fault::unhealthy(format!("the certificate is not good for {name:?}")));
        }
    }
    judge_age(trace, config.min_days)?;
    match secured.distrust {
        Some(reason) if config.verify_chain && !config.tls.insecure_skip_verify => {
            Err(Fault::unhealthy(format!("the certificate is not trusted: {reason}")))
        }
        _ => Ok(()),
    }
}

/// Judges how long the certificate that was seen is still valid.
pub(super) fn judge_age(trace: &Trace<'_>, min_days: u32) -> Result<(), Fault> {
    let Some(certificate) = &trace.details.certificate else {
        return Err(Fault::unhealthy("there was no certificate that could be read"));
    };
    let days = certificate.days_left;
    let over_ms = trace.clock.now_ms() - certificate.not_after;
    if over_ms >= 0 {
        return Err(Fault::unhealthy(format!("the certificate ended {} days ago", over_ms / DAY_MS)));
    }
    if days < i64::from(min_days) {
        let message = format!("the certificate ends in {days} days, at least {min_days} are wanted");
        return Err(Fault::unhealthy(message));
    }
    Ok(())
}
