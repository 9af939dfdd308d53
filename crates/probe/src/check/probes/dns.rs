//! Records of the domain name system, asked over UDP and over TCP where an answer does not fit.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::stream::broken;
use crate::check::spec::{DnsConfig, Matching, RecordType};
use crate::check::trace::{Fault, Trace};
use crate::dns::{self, u16_at};

/// Records of an answer that are looked at.
const RECORDS_MAX: usize = 256;

/// Largest UDP answer.
const UDP_BYTES_MAX: usize = 4096;

/// A datagram may be lost; it is sent again after this long.
const RESEND: Duration = Duration::from_secs(2);

const TRUNCATED: u16 = 0x0200;

pub(super) async fn probe(trace: &mut Trace<'_>, config: &DnsConfig) -> Result<(), Fault> {
    let name = trace.check.spec().target.trim();
    let question_id = {
        let mut id = [0; 2];
        getrandom::fill(&mut id).map_err(|e| Fault::unknown(e.to_string()))?;
        u16::from_be_bytes(id)
    };
    let name = match (config.record_type, name.parse()) {
        (RecordType::Ptr, Ok(address)) => reverse(address),
        _ => name.trim_end_matches('.').to_owned(),
    };
    let question = dns::question(question_id, &name, code(config.record_type)).map_err(Fault::unknown)?;
    let servers = servers(trace, config).await?;
    let mut last = Fault::unhealthy("no name server is known");
    for server in servers {
        let sent = trace.begin(format!("waiting for the name server {server}"));
        trace.details.address = Some(server.to_string());
        match ask(trace, server, &question).await {
            Ok(answer) => {
                trace.details.timings.first_byte = Some(trace.since(sent));
                let values = read(&answer, config.record_type)?;
                trace.value("records", values.len() as f64);
                let mut shown = values.clone();
                shown.truncate(32);
                trace.text("records", &shown.join("; "));
                return judge(config, &name, &values);
            }
            Err(fault) => last = fault,
        }
    }
    Err(last)
}

/// The servers that are asked, each of them judged.
async fn servers(trace: &mut Trace<'_>, config: &DnsConfig) -> Result<Vec<SocketAddr>, Fault> {
    if let Some(server) = &config.server {
        let endpoint = crate::check::spec::dns_server(server).map_err(Fault::unknown)?;
        return trace.resolve(&endpoint.host, endpoint.port).await;
    }
    let (mut judged, mut refused) = (Vec::new(), None);
    for server in crate::scrape::system_name_servers() {
        match trace.resolve(&server.ip().to_string(), server.port()).await {
            Ok(addresses) => judged.extend(addresses),
            Err(fault) => refused = Some(fault),
        }
    }
    match refused {
        Some(fault) if judged.is_empty() => {
            Err(Fault::unknown(format!("name a server in config.server: {}", fault.message)))
        }
        _ => Ok(judged),
    }
}

async fn ask(trace: &Trace<'_>, server: SocketAddr, question: &[u8]) -> Result<Vec<u8>, Fault> {
    let local: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(local).await.map_err(broken)?;
    socket.connect(server).await.map_err(broken)?;
    let mut buffer = vec![0; UDP_BYTES_MAX];
    for attempt in 1.. {
        socket.send(question).await.map_err(broken)?;
        let received = kit::timeout(trace.clock, RESEND, async {
            loop {
                let length = socket.recv(&mut buffer).await.map_err(broken)?;
                // An answer to another question is not ours.
                if buffer[..length].get(..2) == question.get(..2) {
                    return Ok(length);
                }
            }
        });
        let length = match received.await {
            Ok(length) => length?,
            Err(_) if attempt < 3 => continue,
            Err(_) => return Err(Fault::unhealthy(format!("the name server {server} does not answer"))),
        };
        let answer = &buffer[..length];
        if u16_at(answer, 2).is_some_and(|flags| flags & TRUNCATED != 0) {
            return ask_by_tcp(server, question).await;
        }
        return Ok(answer.to_vec());
    }
    Err(Fault::unhealthy("no answer"))
}

async fn ask_by_tcp(server: SocketAddr, question: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut stream = TcpStream::connect(server).await.map_err(broken)?;
    let framed = [&(question.len() as u16).to_be_bytes(), question].concat();
    stream.write_all(&framed).await.map_err(broken)?;
    let length = stream.read_u16().await.map_err(broken)?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await.map_err(broken)?;
    match answer.get(..2) == question.get(..2) {
        true => Ok(answer),
        false => Err(Fault::unhealthy("the answer belongs to another question")),
    }
}

fn code(kind: RecordType) -> u16 {
    match kind {
        RecordType::A => 1,
        RecordType::Ns => 2,
        RecordType::Cname => 5,
        RecordType::Soa => 6,
        RecordType::Ptr => 12,
        RecordType::Mx => 15,
        RecordType::Txt => 16,
        RecordType::Aaaa => 28,
        RecordType::Srv => 33,
        RecordType::Caa => 257,
    }
}

/// The name under which an address has its name (RFC 1035, RFC 3596).
fn reverse(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        std::net::IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            let mut name: String = nibbles.map(|nibble| format!("{nibble:x}.")).collect();
            name.push_str("ip6.arpa");
            name
        }
    }
}

/// Values of the records of this kind.
fn read(message: &[u8], kind: RecordType) -> Result<Vec<String>, Fault> {
    let malformed = || Fault::unhealthy("the answer is malformed");
    match u16_at(message, 2).filter(|flags| flags & 0x8000 != 0).ok_or_else(malformed)? & 0xf {
        0 => {}
        2 => return Err(Fault::unhealthy("the name server failed (SERVFAIL)")),
        3 => return Err(Fault::unhealthy("there is no such name (NXDOMAIN)")),
        5 => return Err(Fault::unhealthy("the name server refuses to answer (REFUSED)")),
        code => return Err(Fault::unhealthy(format!("the name server answers with code {code}"))),
    }
    records(message, kind).ok_or_else(malformed)
}

fn records(message: &[u8], kind: RecordType) -> Option<Vec<String>> {
    let (questions, answers) = (u16_at(message, 4)?, u16_at(message, 6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = dns::skip_name(message, at)? + 4;
    }
    let mut values = Vec::new();
    for _ in 0..usize::from(answers).min(RECORDS_MAX) {
        at = dns::skip_name(message, at)?;
        let (found, length) = (u16_at(message, at)?, usize::from(u16_at(message, at + 8)?));
        let data = at + 10;
        let end = data.checked_add(length).filter(|end| *end <= message.len())?;
        if found == code(kind) {
            values.push(value(message, data, end, kind)?);
        }
        at = end;
    }
    Some(values)
}

fn value(message: &[u8], at: usize, end: usize, kind: RecordType) -> Option<String> {
    let data = message.get(at..end)?;
    let name = |at| Some(dns::name_at(message, at)?.trim_end_matches('.').to_owned());
    Some(match kind {
        RecordType::A => Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string(),
        RecordType::Aaaa => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string(),
        RecordType::Ns | RecordType::Cname | RecordType::Ptr => name(at)?,
        RecordType::Mx => format!("{} {}", u16_at(data, 0)?, name(at + 2)?),
        RecordType::Srv => {
            format!("{} {} {} {}", u16_at(data, 0)?, u16_at(data, 2)?, u16_at(data, 4)?, name(at + 6)?)
        }
        RecordType::Txt => {
            let (mut text, mut rest) = (Vec::new(), data);
            while let Some((&length, after)) = rest.split_first() {
                let (part, after) = after.split_at_checked(length.into())?;
                text.extend_from_slice(part);
                rest = after;
            }
            String::from_utf8_lossy(&text).into_owned()
        }
        RecordType::Caa => {
            let (&flags, rest) = data.split_first()?;
            let (&length, rest) = rest.split_first()?;
            let (tag, text) = rest.split_at_checked(length.into())?;
            format!("{flags} {} \"{}\"", String::from_utf8_lossy(tag), String::from_utf8_lossy(text))
        }
        RecordType::Soa => {
            let second = dns::skip_name(message, at)?;
            let numbers = dns::skip_name(message, second)?;
            let mut text = format!("{} {}", name(at)?, name(second)?);
            for word in message.get(numbers..numbers + 20)?.chunks(4) {
                text.push_str(&format!(" {}", u32::from_be_bytes(word.try_into().ok()?)));
            }
            text
        }
    })
}

fn judge(config: &DnsConfig, name: &str, values: &[String]) -> Result<(), Fault> {
    if values.is_empty() {
        return Err(Fault::unhealthy(format!("{name:?} has no records of type {:?}", config.record_type)));
    }
    // Names are the same whatever their letters' case; so is everything else that is compared here but texts.
    let exact = matches!(config.record_type, RecordType::Txt | RecordType::Caa);
    let same = |left: &str, right: &str| {
        let (left, right) = (left.trim_end_matches('.'), right.trim_end_matches('.'));
        if exact { left == right } else { left.eq_ignore_ascii_case(right) }
    };
    let has = |expected: &&String| values.iter().any(|value| same(value, expected));
    let missing = config.expected.iter().find(|expected| !has(expected));
    let extra = values.iter().find(|value| !config.expected.iter().any(|expected| same(value, expected)));
    match (config.matching, missing, extra) {
        _ if config.expected.is_empty() => Ok(()),
        (Matching::All | Matching::Exact, Some(missing), _) => {
            Err(Fault::unhealthy(format!("the answer does not have {missing:?}")))
        }
        (Matching::Exact, None, Some(extra)) => {
            Err(Fault::unhealthy(format!("the answer has {extra:?} as well")))
        }
        (Matching::Any, ..) if !config.expected.iter().any(|expected| has(&expected)) => {
            Err(Fault::unhealthy("the answer has none of the expected values"))
        }
        _ => Ok(()),
    }
}
