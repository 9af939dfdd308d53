//! `grpc.health.v1.Health/Check`, by hand: one message each way over HTTP/2.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::http::{AGENT, add_headers, failed, while_driving};
use super::stream;
use crate::check::spec::{Endpoint, GrpcConfig};
use crate::check::trace::{Fault, Trace};

const PATH: &str = "/grpc.health.v1.Health/Check";

/// An answer has a few bytes.
const ANSWER_BYTES_MAX: usize = 4096;

pub(super) async fn probe(
    trace: &mut Trace<'_>,
    endpoint: &Endpoint,
    config: &GrpcConfig,
) -> Result<(), Fault> {
    let io = stream::open(trace, endpoint, &config.tls, &[b"h2"]).await?;
    let sent = trace.begin("waiting for the answer");
    let request = request(endpoint, config)?;
    let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await;
    let (mut sender, connection) = shaken.map_err(|e| failed(&e))?;
    while_driving(connection, async {
        let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
        trace.details.timings.first_byte = Some(trace.since(sent));
        trace.details.http_status = Some(response.status().as_u16());
        let (head, mut incoming) = response.into_parts();
        if !head.status.is_success() {
            return Err(Fault::unhealthy(format!("no gRPC answers there: the status is {}", head.status)));
        }
        let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|e| failed(&e))?;
            match frame.into_data() {
                Ok(data) => body.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            }
            if body.len() > ANSWER_BYTES_MAX {
                return Err(Fault::unhealthy("the answer is too long for a health check"));
            }
        }
        // An answer without a message carries its status in the head.
        let status = status(&trailers).or_else(|| status(&head.headers));
        judge(status, &body)
    })
    .await
}

fn request(endpoint: &Endpoint, config: &GrpcConfig) -> Result<Request<Full<Bytes>>, Fault> {
    let bad = |e: http::Error| Fault::unknown(format!("the request cannot be made: {e}"));
    let uri = Uri::builder()
        .scheme(if endpoint.tls { "https" } else { "http" })
        .authority(endpoint.to_string())
        .path_and_query(PATH)
        .build()
        .map_err(bad)?;
    let mut request = Request::post(uri)
        .version(Version::HTTP_2)
        .body(Full::new(Bytes::from(message(&config.service))))
        .map_err(bad)?;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    add_headers(headers, config.metadata.iter(), true)?;
    Ok(request)
}

/// A `HealthCheckRequest` behind its prefix: not compressed, four bytes of length.
fn message(service: &str) -> Vec<u8> {
    let mut body = Vec::new();
    if !service.is_empty() {
        // Field 1, a string; its length in groups of seven bits.
        body.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            body.push(length as u8 | 0x80);
            length >>= 7;
        }
        body.push(length as u8);
        body.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&(body.len() as u32).to_be_bytes());
    framed.extend_from_slice(&body);
    framed
}

fn status(headers: &HeaderMap) -> Option<(u32, String)> {
    let code = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    let message = headers.get("grpc-message").and_then(|text| text.to_str().ok()).unwrap_or_default();
    Some((code, message.to_owned()))
}

fn judge(status: Option<(u32, String)>, body: &[u8]) -> Result<(), Fault> {
    match status {
        Some((0, _)) => {}
        Some((5, _)) => return Err(Fault::unhealthy("the server does not know the service (NOT_FOUND)")),
        Some((12, _)) => {
            return Err(Fault::unhealthy(
                "the server does not implement grpc.health.v1.Health (UNIMPLEMENTED)",
            ));
        }
        Some((code, message)) => {
            return Err(Fault::unhealthy(format!("the call failed with status {code}: {message}")));
        }
        None => return Err(Fault::unhealthy("the answer has no gRPC status")),
    }
    match serving(body) {
        Some(1) => Ok(()),
        Some(0) => Err(Fault::unhealthy("the service is UNKNOWN")),
        Some(2) => Err(Fault::unhealthy("the service is NOT_SERVING")),
        Some(3) => Err(Fault::unhealthy("the service is SERVICE_UNKNOWN")),
        Some(other) => Err(Fault::unhealthy(format!("the service is in state {other}"))),
        None => Err(Fault::unhealthy("the answer is malformed")),
    }
}

/// Field 1 of a `HealthCheckResponse`; 0 when it is left out.
fn serving(body: &[u8]) -> Option<u8> {
    let (prefix, message) = body.split_at_checked(5)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?) as usize;
    match (prefix[0], message.get(..length)?) {
        (0, []) => Some(0),
        (0, [0x08, state, ..]) if *state < 0x80 => Some(*state),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_framed() {
        assert_eq!(message(""), [0, 0, 0, 0, 0]);
        assert_eq!(message("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(message(&"x".repeat(200))[..8], [0, 0, 0, 0, 203, 0x0a, 0xc8, 1]);
        for (body, want) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], Some(1)),
            (&[0, 0, 0, 0, 0], Some(0)),
            (&[0, 0, 0, 0, 2, 8], None),
            (&[1, 0, 0, 0, 2, 8, 1], None),
            (&[], None),
        ] {
            assert_eq!(serving(body), want, "{body:?}");
        }
    }
}
