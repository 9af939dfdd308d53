//! TLS handshakes that remember the certificate, also one that is not accepted.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::result::Certificate;
use super::spec::TlsOptions;
use super::trace::{Fault, Trace, plain};
use super::x509;

/// Certificates of a file of authorities; a system has about 150.
const AUTHORITIES_MAX: usize = 1000;

const DAY_MS: i64 = 86_400_000;

/// What is done about a certificate that is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// The handshake fails.
    Needed,
    /// It is remembered.
    Noted,
}

/// A connection with what its server showed.
pub(super) struct Secured {
    pub(super) stream: TlsStream<TcpStream>,
    /// The certificate's own, then those sent along.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// Why it is not trusted.
    pub(super) distrust: Option<String>,
}

/// Judges the texts of options; the error names the part and the remedy.
pub(super) fn judge(options: &TlsOptions) -> Result<(), (&'static str, String)> {
    if let Some(name) = &options.server_name {
        ServerName::try_from(name.as_str()).map_err(|_| ("serverName", "write a host name".to_owned()))?;
    }
    roots(options).map_err(|remedy| ("ca", remedy))?;
    match identity(options)? {
        None => Ok(()),
        Some((certificates, key)) => ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider speaks both versions")
            .with_root_certificates(RootCertStore::empty())
            .with_client_auth_cert(certificates, key)
            .map(drop)
            .map_err(|error| ("clientCertificate", format!("it does not fit the key: {error}"))),
    }
}

/// Makes a connection secret; notes its certificate in the details, also where it is refused.
pub(super) async fn secure(
    trace: &mut Trace<'_>,
    stream: TcpStream,
    host: &str,
    options: &TlsOptions,
    alpn: &[&[u8]],
    trust: Trust,
) -> Result<Secured, Fault> {
    let fault = |message: String| Fault::unknown(format!("config.tls: {message}"));
    let host = options.server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| fault(format!("{host:?} is no name for TLS; write one into serverName")))?;
    let trust = if options.insecure_skip_verify { Trust::Noted } else { trust };
    let recorder =
        Arc::new(Recorder { inner: verifier(options).map_err(fault)?, trust, seen: Mutex::default() });
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Recorder>::clone(&recorder));
    let mut config = match identity(options).map_err(|(_, remedy)| fault(remedy))? {
        Some((certificates, key)) => {
            builder.with_client_auth_cert(certificates, key).map_err(|error| fault(error.to_string()))?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    // A resumed session shows no certificate.
    config.resumption = Resumption::disabled();
    let began = trace.begin("securing the connection (TLS)");
    let secured = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    trace.details.timings.tls = Some(trace.since(began));
    let seen = std::mem::take(&mut *recorder.seen.lock());
    trace.details.certificate = certificate(&seen.certificates, trace.clock.now_ms());
    let stream = secured.map_err(|error| Fault::unhealthy(format!("TLS failed: {}", plain(&error))))?;
    Ok(Secured { stream, certificates: seen.certificates, distrust: seen.distrust })
}

/// Whether a certificate is good for a name; may begin with `*.`, which must then be one of its own.
pub(super) fn is_for(certificate: &CertificateDer<'_>, name: &str) -> bool {
    if name.starts_with("*.") {
        let names = x509::read(certificate).map(|facts| facts.names).unwrap_or_default();
        return names.iter().any(|own| own.eq_ignore_ascii_case(name));
    }
    let (Ok(parsed), Ok(name)) = (ParsedCertificate::try_from(certificate), ServerName::try_from(name))
    else {
        return false;
    };
    verify_server_name(&parsed, &name).is_ok()
}

/// A chain as results tell it.
fn certificate(chain: &[CertificateDer<'_>], now_ms: i64) -> Option<Certificate> {
    let own = x509::read(chain.first()?)?;
    let ends = chain.iter().filter_map(|certificate| x509::read(certificate)).map(|facts| facts.not_after);
    let not_after = ends.min().unwrap_or(own.not_after);
    Some(Certificate {
        subject: own.subject,
        issuer: own.issuer,
        names: own.names,
        not_before: own.not_before,
        not_after,
        days_left: (not_after - now_ms).div_euclid(DAY_MS),
    })
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

/// The verifier of the options; that of the system's authorities is made once.
fn verifier(options: &TlsOptions) -> Result<Option<Arc<WebPkiServerVerifier>>, String> {
    static SYSTEM: OnceLock<Option<Arc<WebPkiServerVerifier>>> = OnceLock::new();
    let build = |roots| WebPkiServerVerifier::builder_with_provider(roots, provider()).build();
    match roots(options)? {
        Some(roots) => Ok(Some(build(Arc::new(roots)).map_err(|error| error.to_string())?)),
        None => Ok(SYSTEM
            .get_or_init(|| {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                build(Arc::new(roots)).ok()
            })
            .clone()),
    }
}

/// Authorities that the options name; `None` stands for the system's.
fn roots(options: &TlsOptions) -> Result<Option<RootCertStore>, String> {
    let Some(pem) = &options.ca else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(Some(roots))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).take(AUTHORITIES_MAX).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err("write certificates in PEM, with their BEGIN and END lines".into()),
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(options: &TlsOptions) -> Result<Option<Identity>, (&'static str, String)> {
    match (&options.client_certificate, &options.client_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate).map_err(|remedy| ("clientCertificate", remedy))?;
            // The error of the parser may repeat the key.
            let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes())
                .map_err(|_| ("clientKey", "write a private key in PEM".to_owned()))?;
            Ok(Some((chain, key)))
        }
        (None, Some(_)) => Err(("clientCertificate", "a key needs its certificate".into())),
        (Some(_), None) => Err(("clientKey", "a certificate needs its key".into())),
    }
}

#[derive(Debug, Default)]
struct Seen {
    certificates: Vec<CertificateDer<'static>>,
    distrust: Option<String>,
}

/// Judges a certificate and remembers it.
#[derive(Debug)]
struct Recorder {
    /// `None` when no authority is known at all.
    inner: Option<Arc<WebPkiServerVerifier>>,
    trust: Trust,
    seen: Mutex<Seen>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = match &self.inner {
            Some(inner) => inner.verify_server_cert(end_entity, intermediates, name, ocsp_response, now),
            None => Err(Error::General("no authority is known; name one in config.tls.ca".into())),
        };
        let mut seen = self.seen.lock();
        let chain = std::iter::once(end_entity).chain(intermediates);
        seen.certificates = chain.map(|certificate| certificate.clone().into_owned()).collect();
        seen.distrust = verdict.as_ref().err().map(ToString::to_string);
        match self.trust {
            Trust::Needed => verdict,
            Trust::Noted => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
