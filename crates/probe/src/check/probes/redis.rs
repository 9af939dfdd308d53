//! Redis and its like: RESP by hand, signing in and PING.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::stream::{self, Io, broken};
use crate::check::spec::{Endpoint, RedisConfig};
use crate::check::trace::{Fault, Trace};

/// Largest line of an answer.
const LINE_BYTES_MAX: u64 = 4096;

pub(super) async fn probe(
    trace: &mut Trace<'_>,
    endpoint: &Endpoint,
    config: &RedisConfig,
) -> Result<(), Fault> {
    let mut io = BufReader::new(stream::open(trace, endpoint, &config.tls, &[]).await?);
    if let Some(password) = &config.password {
        trace.begin("signing in");
        let mut words = vec!["AUTH"];
        words.extend(config.username.as_deref());
        words.push(password.reveal());
        expect(&mut io, &words, "OK").await?;
    }
    if let Some(database) = config.database {
        trace.begin("choosing the database");
        expect(&mut io, &["SELECT", &database.to_string()], "OK").await?;
    }
    let sent = trace.begin("waiting for the answer to PING");
    expect(&mut io, &["PING"], "PONG").await?;
    trace.details.timings.first_byte = Some(trace.since(sent));
    Ok(())
}

/// Sends a command; the answer must be this simple text.
async fn expect(io: &mut BufReader<Io>, words: &[&str], want: &str) -> Result<(), Fault> {
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    io.write_all(command.as_bytes()).await.map_err(broken)?;
    io.flush().await.map_err(broken)?;
    let mut line = Vec::new();
    io.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await.map_err(broken)?;
    if line.is_empty() {
        return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
    }
    let line = String::from_utf8_lossy(&line);
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("+", text)) if text == want => Ok(()),
        Some(("-", error)) => Err(Fault::unhealthy(format!("the server says to {}: {error}", words[0]))),
        _ => Err(Fault::unhealthy(format!("no Redis answers there: {} gives {line:?}", words[0]))),
    }
}
