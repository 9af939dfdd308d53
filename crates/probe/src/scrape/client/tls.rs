//! Whom a client trusts and who it says it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::scrape::config::{TlsConfig, TlsVersion};
use crate::scrape::error::ScrapeError;

/// Largest file of certificates or keys.
const PEM_BYTES_MAX: u64 = 16 << 20;

/// The files that a configuration names.
pub(super) fn files(tls: &TlsConfig) -> Vec<PathBuf> {
    [&tls.ca_file, &tls.cert_file, &tls.key_file].into_iter().flatten().cloned().collect()
}

/// A client's side of TLS.
pub(super) fn client_config(tls: &TlsConfig, http2: bool) -> Result<ClientConfig, ScrapeError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(tls))
        .map_err(|e| ScrapeError::Client(format!("tls_config: {e}")))?;
    let builder = if tls.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else if let Some(name) = &tls.server_name {
        let verifier = OtherName::new(name, roots(tls)?, provider)?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        builder.with_root_certificates(roots(tls)?)
    };
    let mut config = match identity(tls)? {
        Some((certificates, key)) => builder
            .with_client_auth_cert(certificates, key)
            .map_err(|e| ScrapeError::Client(format!("tls_config.cert: {e}")))?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { Vec::new() };
    Ok(config)
}

fn versions(tls: &TlsConfig) -> Vec<&'static rustls::SupportedProtocolVersion> {
    let min = tls.min_version.unwrap_or(TlsVersion::Tls12);
    let max = tls.max_version.unwrap_or(TlsVersion::Tls13);
    let known = [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)];
    known.into_iter().filter(|(v, _)| (min..=max).contains(v)).map(|(_, version)| version).collect()
}

fn roots(tls: &TlsConfig) -> Result<Arc<RootCertStore>, ScrapeError> {
    let pem = match (&tls.ca, &tls.ca_file) {
        (Some(pem), _) => pem.clone().into_bytes(),
        (None, Some(file)) => read(file)?,
        (None, None) => return Ok(system_roots()),
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&pem, "tls_config.ca")? {
        roots.add(certificate).map_err(|e| ScrapeError::Client(format!("tls_config.ca: {e}")))?;
    }
    Ok(Arc::new(roots))
}

/// The authorities that the system trusts, read once for the whole process.
fn system_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let load = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    };
    Arc::clone(ROOTS.get_or_init(load))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(tls: &TlsConfig) -> Result<Option<Identity>, ScrapeError> {
    let certificate = match (&tls.cert, &tls.cert_file) {
        (Some(pem), _) => pem.clone().into_bytes(),
        (None, Some(file)) => read(file)?,
        (None, None) => return Ok(None),
    };
    let key = match (&tls.key, &tls.key_file) {
        (Some(pem), _) => pem.reveal().as_bytes().to_vec(),
        (None, Some(file)) => read(file)?,
        (None, None) => return Ok(None),
    };
    // The error of the parser says nothing about the key itself.
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|e| ScrapeError::Client(format!("tls_config.key holds no private key: {e}")))?;
    Ok(Some((certificates(&certificate, "tls_config.cert")?, key)))
}

fn certificates(pem: &[u8], key: &str) -> Result<Vec<CertificateDer<'static>>, ScrapeError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(ScrapeError::Client(format!("{key} holds no certificate; it must be PEM"))),
        Err(e) => Err(ScrapeError::Client(format!("{key} cannot be read: {e}"))),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, ScrapeError> {
    let fault = |e: String| ScrapeError::Client(format!("{} cannot be read: {e}", file.display()));
    let size = fs::metadata(file).map_err(|e| fault(e.to_string()))?.len();
    if size > PEM_BYTES_MAX {
        return Err(fault(format!("it has {size} bytes, at most {PEM_BYTES_MAX} are read")));
    }
    fs::read(file).map_err(|e| fault(e.to_string()))
}

/// Checks a certificate against a name from the configuration instead of the host's. The name that is sent
/// to the server stays the host's.
#[derive(Debug)]
struct OtherName {
    name: ServerName<'static>,
    inner: Arc<WebPkiServerVerifier>,
}

impl OtherName {
    fn new(
        name: &str,
        roots: Arc<RootCertStore>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, ScrapeError> {
        let fault = |e: String| ScrapeError::Client(format!("tls_config.server_name: {e}"));
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|e| fault(e.to_string()))?;
        let name = ServerName::try_from(name.to_owned()).map_err(|e| fault(e.to_string()))?;
        Ok(Self { name, inner })
    }
}

impl ServerCertVerifier for OtherName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _host: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// `insecure_skip_verify`: any certificate will do, as long as the server holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _host: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
