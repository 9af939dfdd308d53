//! Echo requests over datagram sockets, which need no privilege where the system allows them.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
use tokio::net::UdpSocket;

use crate::check::spec::{Endpoint, IcmpConfig};
use crate::check::trace::{Fault, Trace, plain};

/// Bytes of payload, as `ping` sends them.
const PAYLOAD_BYTES: usize = 56;

/// Pause between two requests.
const PAUSE: Duration = Duration::from_millis(100);

const ECHO_V4: u8 = 8;
const REPLY_V4: u8 = 0;
const ECHO_V6: u8 = 128;
const REPLY_V6: u8 = 129;

pub(super) async fn probe(
    trace: &mut Trace<'_>,
    endpoint: &Endpoint,
    config: &IcmpConfig,
) -> Result<(), Fault> {
    let addresses = trace.resolve(&endpoint.host, 0).await?;
    let Some(address) = addresses.first().map(SocketAddr::ip) else {
        return Err(Fault::unhealthy("no address"));
    };
    trace.details.address = Some(address.to_string());
    let v4 = address.is_ipv4();
    let socket = open(v4)?;
    let unreachable =
        |error: std::io::Error| Fault::unhealthy(format!("{address} cannot be reached: {}", plain(&error)));
    socket.connect(SocketAddr::new(address, 0)).await.map_err(unreachable)?;
    let limit = trace.check.timeout() / (config.count + 1);
    let (mut lost, mut times) = (0u32, Vec::new());
    for sequence in 0..config.count {
        if sequence > 0 {
            trace.clock.sleep(PAUSE).await;
        }
        let sent = trace.begin(format!("waiting for an echo of {address}"));
        let mut payload = [0; PAYLOAD_BYTES];
        getrandom::fill(&mut payload).map_err(|e| Fault::unknown(e.to_string()))?;
        socket.send(&request(v4, sequence as u16, &payload)).await.map_err(unreachable)?;
        match kit::timeout(trace.clock, limit, reply(&socket, v4, &payload)).await {
            Ok(Ok(())) => times.push(trace.since(sent)),
            Ok(Err(_)) | Err(_) => lost += 1,
        }
    }
    let loss = f64::from(lost) / f64::from(config.count) * 100.0;
    trace.value("lossPercent", loss);
    if !times.is_empty() {
        trace.value("rttMs", times.iter().sum::<f64>() / times.len() as f64);
    }
    if times.is_empty() || loss > config.max_loss_percent {
        let message = format!("{lost} of {} echo requests to {address} went unanswered", config.count);
        return Err(Fault::unhealthy(message));
    }
    Ok(())
}

fn open(v4: bool) -> Result<UdpSocket, Fault> {
    let (family, protocol) =
        if v4 { (AddressFamily::INET, ipproto::ICMP) } else { (AddressFamily::INET6, ipproto::ICMPV6) };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(family, SocketType::DGRAM, flags, Some(protocol)).map_err(|error| {
        if matches!(error, Errno::ACCESS | Errno::PERM) {
            return Fault::unknown(
                "this machine does not let the program send echo requests; an operator allows it with \
                 sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"",
            );
        }
        Fault::unknown(format!("no socket for echo requests: {error}"))
    })?;
    // Tokio's type for datagrams; what is in them is ours to say.
    UdpSocket::from_std(socket.into()).map_err(|error| Fault::unknown(error.to_string()))
}

/// An echo request (RFC 792, RFC 4443). The kernel fills in identifier and checksum.
fn request(v4: bool, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![if v4 { ECHO_V4 } else { ECHO_V6 }, 0, 0, 0, 0, 0];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

async fn reply(socket: &UdpSocket, v4: bool, payload: &[u8]) -> std::io::Result<()> {
    let want = if v4 { REPLY_V4 } else { REPLY_V6 };
    let mut buffer = [0; 1500];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let packet = &buffer[..length];
        if packet.first() == Some(&want) && packet.get(8..) == Some(payload) {
            return Ok(());
        }
    }
}
