//! StatsD and DogStatsD over UDP: lines are added up and written at every flush interval.

use std::net::SocketAddr;

use ingest::Decoded;
use ingest::statsd::{StatsdSettings, StatsdState, parse};
use kit::{BoxError, Shutdown};
use model::{Refusals, TenantId};
use tokio::net::UdpSocket;

use crate::app::SharedApp;

/// Largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Listens until it is asked to stop; what was added up is written before it ends.
pub(crate) async fn serve(app: SharedApp, address: SocketAddr, stop: Shutdown) -> Result<(), BoxError> {
    let socket = UdpSocket::bind(address).await?;
    let mut state = StatsdState::new(StatsdSettings::default());
    let mut refusals = Refusals::default();
    let mut datagram = vec![0; DATAGRAM_BYTES_MAX];
    let clock = app.clock();
    let mut due = clock.monotonic() + app.settings().statsd.flush_interval;
    loop {
        let wait = due.saturating_sub(clock.monotonic());
        tokio::select! {
            received = socket.recv_from(&mut datagram) => {
                let (length, _) = received?;
                let now_ms = app.now_ms();
                let mut full = Refusals::default();
                let malformed = parse(&datagram[..length], |index, op| {
                    if let Err(refusal) = state.apply(index, &op, now_ms) {
                        full.push(refusal);
                    }
                });
                refusals.append(malformed);
                refusals.append(full);
            }
            () = clock.sleep(wait) => {
                flush(&app, &mut state, &mut refusals).await;
                due = clock.monotonic() + app.settings().statsd.flush_interval;
            }
            () = stop.requested() => {
                flush(&app, &mut state, &mut refusals).await;
                return Ok(());
            }
        }
    }
}

async fn flush(app: &SharedApp, state: &mut StatsdState, refusals: &mut Refusals) {
    let decoded = Decoded {
        batch: state.flush(app.now_ms()),
        refusals: std::mem::take(refusals),
        ..Decoded::default()
    };
    if let Err(fault) = super::append(app, &TenantId::default_tenant(), "statsd", decoded).await {
        // Totals are kept in the state, so the next flush carries them.
        tracing::warn!(
            reason = fault.message(),
            "StatsD metrics were not stored; the next flush repeats totals"
        );
    }
}
