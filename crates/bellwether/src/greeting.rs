//! What a start prints: where it listens, and on the first one how to sign in and what to paste.

use std::net::SocketAddr;

/// Addresses that were bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) otlp_grpc: Option<SocketAddr>,
    pub(crate) otlp_http: Option<SocketAddr>,
    /// They are encrypted.
    pub(crate) tls: bool,
}

/// Secrets that are shown once.
#[derive(Clone, Debug)]
pub(crate) struct FirstSecrets {
    pub(crate) key: String,
    pub(crate) link_token: String,
}

/// The base URL for people on this machine.
pub(crate) fn base_url(address: SocketAddr, external: &str, tls: bool) -> String {
    if !external.is_empty() {
        return external.trim_end_matches('/').to_owned();
    }
    // Listening everywhere is no address to open.
    let host = if address.ip().is_unspecified() { "localhost".to_owned() } else { address.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{host}:{}", address.port())
}

/// The sign-in link of a token.
pub(crate) fn sign_in_link(base: &str, token: &str) -> String {
    format!("{base}/signin?token={token}")
}

/// The text of a start. `fingerprint` is that of a certificate which was made here.
pub(crate) fn text(
    addresses: &Addresses,
    external: &str,
    first: Option<&FirstSecrets>,
    fingerprint: Option<&str>,
) -> String {
    let tls = addresses.tls;
    let base = base_url(addresses.http, external, tls);
    let mut out = format!("\nBellwether {} is ready at {base}\n", env!("CARGO_PKG_VERSION"));
    if let Some(fingerprint) = fingerprint {
        out += &format!(
            "  certificate made here (tls/certificate.pem in the data folder), SHA-256:\n    {fingerprint}\n"
        );
    }
    let Some(first) = first else {
        return out + "  sign in: run `bellwether user link` for a one-time link\n\n";
    };
    let (endpoint, protocol) = match (addresses.otlp_http, addresses.otlp_grpc) {
        (Some(http), _) => (base_url(http, "", tls), "http/protobuf"),
        (None, Some(grpc)) => (base_url(grpc, "", tls), "grpc"),
        (None, None) => (base.clone(), "http/protobuf"),
    };
    out += &format!(
        "\n  Sign in (works once, for an hour):\n    {}\n\
         \n  API key (shown once, keep it):\n    {}\n\
         \n  Send OpenTelemetry:\n    export OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}\n    \
         export OTEL_EXPORTER_OTLP_PROTOCOL={protocol}\n    \
         export OTEL_EXPORTER_OTLP_HEADERS=\"Authorization=Bearer%20{}\"\n\
         \n  Send Prometheus remote write:\n    remote_write:\n      - url: {base}/api/v1/write\n        \
         authorization: {{ credentials: {} }}\n\n",
        sign_in_link(&base, &first.link_token),
        first.key,
        first.key,
        first.key
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_says_how_to_sign_in_and_what_to_paste() {
        let http = "127.0.0.1:4300".parse().unwrap();
        let addresses = Addresses {
            http,
            otlp_grpc: None,
            otlp_http: Some("127.0.0.1:4318".parse().unwrap()),
            tls: false,
        };
        let first = FirstSecrets { key: "bw_k".into(), link_token: "t".into() };
        let text = text(&addresses, "", Some(&first), None);
        for part in [
            "http://127.0.0.1:4300/signin?token=t",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318\n",
            "Authorization=Bearer%20bw_k",
            "url: http://127.0.0.1:4300/api/v1/write",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn an_address_for_everyone_is_opened_as_localhost() {
        assert_eq!(base_url("0.0.0.0:80".parse().unwrap(), "", false), "http://localhost:80");
        assert_eq!(base_url("[::1]:80".parse().unwrap(), "", true), "https://[::1]:80");
        assert_eq!(
            base_url("0.0.0.0:80".parse().unwrap(), "https://bw.example/", false),
            "https://bw.example"
        );
    }
}
