//! A small DNS client: asks the system's servers over UDP, and over TCP where an answer does not fit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use kit::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::dns::{name_at, question, skip_name, u16_at};
use crate::scrape::config::DnsKind;

/// Name servers and search domains used, as the C library does.
const SERVERS_MAX: usize = 3;
const SEARCH_MAX: usize = 6;

/// Largest UDP answer without extensions is 512 bytes; some servers send more all the same.
const UDP_BYTES_MAX: usize = 4096;

/// What an answer says about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// `A` or `AAAA`.
    Address(IpAddr),
    /// `SRV`.
    Service {
        /// Host, closing dot included.
        target: String,
        /// Port.
        port: u16,
    },
    /// `MX`.
    Mail(String),
    /// `NS`.
    Nameserver(String),
}

/// Asks name servers.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
    timeout: Duration,
    attempts: usize,
}

/// How one question ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Records(Vec<Record>),
    /// There is no such name.
    Missing,
    /// The answer did not fit; ask by TCP.
    Truncated,
}

impl Resolver {
    /// The system's servers, from `/etc/resolv.conf`.
    pub(super) fn from_system() -> Self {
        Self::parse(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
    }

    /// The servers that are asked.
    pub(crate) fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    fn parse(text: &str) -> Self {
        let mut resolver = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(|address| address.parse().ok());
                    resolver.servers.extend(server.map(|ip: IpAddr| SocketAddr::new(ip, 53)));
                }
                Some("search" | "domain") => {
                    let domains =
                        words.take(SEARCH_MAX).map(|domain| domain.trim_end_matches('.').to_owned());
                    resolver.search = domains.filter(|domain| !domain.is_empty()).collect();
                }
                Some("options") => words.for_each(|option| resolver.option(option)),
                _ => {}
            }
        }
        resolver.servers.truncate(SERVERS_MAX);
        if resolver.servers.is_empty() {
            resolver.servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
        }
        resolver
    }

    fn option(&mut self, option: &str) {
        let Some((name, value)) = option.split_once(':') else { return };
        let Ok(value) = value.parse::<u64>() else { return };
        match name {
            "ndots" => self.ndots = value.min(15) as usize,
            "timeout" => self.timeout = Duration::from_secs(value.clamp(1, 30)),
            "attempts" => self.attempts = value.clamp(1, 5) as usize,
            _ => {}
        }
    }

    /// The names to ask for in turn: as it is, and with each search domain.
    fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(absolute) = name.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let mut names: Vec<String> = self.search.iter().map(|domain| format!("{name}.{domain}")).collect();
        if name.matches('.').count() >= self.ndots {
            names.insert(0, name.to_owned());
        } else {
            names.push(name.to_owned());
        }
        names
    }

    /// The records of a name. A name that does not exist has none; servers that cannot tell are an error.
    pub(super) async fn lookup(
        &self,
        name: &str,
        kind: DnsKind,
        clock: &dyn Clock,
    ) -> Result<Vec<Record>, String> {
        for candidate in self.candidates(name) {
            match self.ask_all(&candidate, kind, clock).await? {
                Outcome::Records(records) => return Ok(records),
                Outcome::Missing | Outcome::Truncated => {}
            }
        }
        Ok(Vec::new())
    }

    async fn ask_all(&self, name: &str, kind: DnsKind, clock: &dyn Clock) -> Result<Outcome, String> {
        let mut last = String::from("no name server");
        for _ in 0..self.attempts {
            for server in &self.servers {
                let asked = kit::timeout(clock, self.timeout, ask(*server, name, kind)).await;
                match asked {
                    Ok(Ok(outcome)) => return Ok(outcome),
                    Ok(Err(error)) => last = format!("{server}: {error}"),
                    Err(timed_out) => last = format!("{server}: {timed_out}"),
                }
            }
        }
        Err(last)
    }
}

async fn ask(server: SocketAddr, name: &str, kind: DnsKind) -> Result<Outcome, String> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|e| e.to_string())?;
    let id = u16::from_be_bytes(id);
    let question = encode(id, name, kind)?;
    let local: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(local).await.map_err(|e| e.to_string())?;
    socket.connect(server).await.map_err(|e| e.to_string())?;
    socket.send(&question).await.map_err(|e| e.to_string())?;
    let mut buffer = vec![0; UDP_BYTES_MAX];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(|e| e.to_string())?;
        // An answer to another question is not ours; the timeout ends the wait.
        if buffer[..length].get(..2) != Some(&id.to_be_bytes()) {
            continue;
        }
        return match decode(&buffer[..length], kind)? {
            Outcome::Truncated => ask_by_tcp(server, &question, kind).await,
            outcome => Ok(outcome),
        };
    }
}

async fn ask_by_tcp(server: SocketAddr, question: &[u8], kind: DnsKind) -> Result<Outcome, String> {
    let mut stream = TcpStream::connect(server).await.map_err(|e| e.to_string())?;
    let mut framed = (question.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(question);
    stream.write_all(&framed).await.map_err(|e| e.to_string())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).await.map_err(|e| e.to_string())?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).await.map_err(|e| e.to_string())?;
    if answer.get(..2) != question.get(..2) {
        return Err("the answer belongs to another question".into());
    }
    decode(&answer, kind)
}

fn code(kind: DnsKind) -> u16 {
    match kind {
        DnsKind::A => 1,
        DnsKind::Ns => 2,
        DnsKind::Mx => 15,
        DnsKind::Aaaa => 28,
        DnsKind::Srv => 33,
    }
}

fn encode(id: u16, name: &str, kind: DnsKind) -> Result<Vec<u8>, String> {
    question(id, name, code(kind))
}

/// Reads an answer; every offset is checked, and pointers are followed a bounded number of times.
fn decode(message: &[u8], kind: DnsKind) -> Result<Outcome, String> {
    read(message, kind).unwrap_or_else(|| Err("the answer is malformed".into()))
}

fn read(message: &[u8], kind: DnsKind) -> Option<Result<Outcome, String>> {
    let flags = u16_at(message, 2)?;
    if flags & 0x8000 == 0 {
        return None;
    }
    if flags & 0x0200 != 0 {
        return Some(Ok(Outcome::Truncated));
    }
    match flags & 0xf {
        0 => {}
        3 => return Some(Ok(Outcome::Missing)),
        code => return Some(Err(format!("the server answered with code {code}"))),
    }
    let (questions, answers) = (u16_at(message, 4)?, u16_at(message, 6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = skip_name(message, at)? + 4;
    }
    let mut records = Vec::new();
    for _ in 0..answers {
        at = skip_name(message, at)?;
        let (found, length) = (u16_at(message, at)?, usize::from(u16_at(message, at + 8)?));
        let data = at + 10;
        let end = data.checked_add(length).filter(|end| *end <= message.len())?;
        if found == code(kind) {
            records.push(record(message, data, length, kind)?);
        }
        at = end;
    }
    // A name without records of this kind is a name all the same, but a search domain may have them.
    Some(Ok(if records.is_empty() { Outcome::Missing } else { Outcome::Records(records) }))
}

fn record(message: &[u8], at: usize, length: usize, kind: DnsKind) -> Option<Record> {
    let data = message.get(at..at + length)?;
    Some(match kind {
        DnsKind::A => Record::Address(<[u8; 4]>::try_from(data).ok()?.into()),
        DnsKind::Aaaa => Record::Address(<[u8; 16]>::try_from(data).ok()?.into()),
        DnsKind::Srv => Record::Service { port: u16_at(message, at + 4)?, target: name_at(message, at + 6)? },
        DnsKind::Mx => Record::Mail(name_at(message, at + 2)?),
        DnsKind::Ns => Record::Nameserver(name_at(message, at)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::CLASS_IN;

    #[test]
    fn resolv_conf_names_servers_search_and_options() {
        let resolver = Resolver::parse(
            "# x\nnameserver 10.0.0.2\nnameserver ::1 ; y\nsearch a.org. b.org\noptions ndots:2 timeout:1 rotate\n",
        );
        assert_eq!(resolver.servers, ["10.0.0.2:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
        assert_eq!((resolver.ndots, resolver.timeout), (2, Duration::from_secs(1)));
        let rows = [
            ("db", vec!["db.a.org", "db.b.org", "db"]),
            ("a.b.c", vec!["a.b.c", "a.b.c.a.org", "a.b.c.b.org"]),
            ("db.", vec!["db"]),
        ];
        for (name, want) in rows {
            assert_eq!(resolver.candidates(name), want);
        }
        assert_eq!(Resolver::parse("").servers, ["127.0.0.1:53".parse().unwrap()]);
    }

    /// An answer to `question` with records of the given kind and data.
    fn answer(question: &[u8], flags: u16, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = question.to_vec();
        out[2..4].copy_from_slice(&flags.to_be_bytes());
        out[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
        for (kind, data) in records {
            out.extend_from_slice(&[0xc0, 12]);
            for word in [*kind, CLASS_IN, 0, 60, data.len() as u16] {
                out.extend_from_slice(&word.to_be_bytes());
            }
            out.extend_from_slice(data);
        }
        out
    }

    #[test]
    fn answers_are_read_with_compressed_names() {
        let question = encode(7, "x.org", DnsKind::Srv).expect("a name");
        // Priority, weight, port, and "web" before the name of the question.
        let service = [0, 1, 0, 2, 0x23, 0x8c, 3, b'w', b'e', b'b', 0xc0, 12];
        let message = answer(&question, 0x8180, &[(5, &[0xc0, 12]), (33, &service)]);
        let want = vec![Record::Service { target: "web.x.org.".into(), port: 9100 }];
        assert_eq!(decode(&message, DnsKind::Srv), Ok(Outcome::Records(want)));
        let rows = [
            (0x8183, Ok(Outcome::Missing)),
            (0x8380, Ok(Outcome::Truncated)),
            (0x8182, Err("the server answered with code 2".to_owned())),
            (0x0100, Err("the answer is malformed".to_owned())),
        ];
        for (flags, want) in rows {
            assert_eq!(decode(&answer(&question, flags, &[]), DnsKind::Srv), want, "{flags:#x}");
        }
    }

    #[test]
    fn hostile_answers_end() {
        let question = encode(7, "x", DnsKind::Ns).expect("a name");
        // A name that points at itself, and an answer cut at every byte.
        let at = question.len() as u8 + 12;
        let message = answer(&question, 0x8180, &[(2, &[0xc0, at])]);
        assert!(decode(&message, DnsKind::Ns).is_err());
        for cut in 0..message.len() {
            let _ = decode(&message[..cut], DnsKind::Ns);
        }
        assert!(encode(1, "a..b", DnsKind::A).is_err());
        assert!(encode(1, &"a".repeat(64), DnsKind::A).is_err());
    }

    #[tokio::test]
    async fn a_truncated_answer_is_asked_for_again_by_tcp() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let socket = UdpSocket::bind(server).await.unwrap();
        let serving = kit::spawn::spawn("dns", async move {
            let mut buffer = [0; 512];
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            socket.send_to(&answer(&buffer[..length], 0x8380, &[]), from).await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let length = stream.read_u16().await.unwrap();
            let mut question = vec![0; usize::from(length)];
            stream.read_exact(&mut question).await.unwrap();
            let message = answer(&question, 0x8180, &[(1, &[10, 0, 0, 1]), (1, &[10, 0, 0, 2])]);
            stream.write_u16(message.len() as u16).await.unwrap();
            stream.write_all(&message).await.unwrap();
        });
        let mut resolver = Resolver::parse("");
        resolver.servers = vec![server];
        let clock = kit::SystemClock::new();
        let records = resolver.lookup("x.org", DnsKind::A, &clock).await.unwrap();
        let want = [[10, 0, 0, 1], [10, 0, 0, 2]].map(|ip: [u8; 4]| Record::Address(ip.into()));
        assert_eq!(records, want);
        serving.await.unwrap();
    }
}
