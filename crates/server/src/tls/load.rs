//! Files to a pair.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};

use super::expiry::not_after_ms;
use super::keeper::Pair;
use super::own_pair;

/// Where a pair comes from, and what is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// PEM file with the chain; empty with the key's: a pair made here.
    pub(crate) certificate_file: String,
    /// PEM file with the private key.
    pub(crate) key_file: String,
    /// The settings that name the two, for errors.
    pub(crate) settings: [&'static str; 2],
    /// PEM file with the authorities of clients; empty asks for no certificate.
    pub(crate) client_ca_file: String,
    /// Speak nothing older than TLS 1.3.
    pub(crate) only_tls13: bool,
    /// Protocols to agree on, best first; none for what is not HTTP.
    pub(crate) protocols: &'static [&'static [u8]],
    /// Where a pair made here is kept.
    pub(crate) folder: PathBuf,
    /// Names that a pair made here is for.
    pub(crate) names: Vec<String>,
}

/// What tells that a file was changed: its time, its length and which file it is.
pub(super) type Stamp = [Option<(SystemTime, u64, u64)>; 3];

fn stamp_of(file: &Path) -> Option<(SystemTime, u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}

impl Source {
    fn is_own(&self) -> bool {
        self.certificate_file.is_empty() && self.key_file.is_empty()
    }

    /// The files, in the folder of a pair made here where none are named.
    fn files(&self) -> (PathBuf, PathBuf) {
        if self.is_own() {
            return own_pair::files(&self.folder);
        }
        (PathBuf::from(&self.certificate_file), PathBuf::from(&self.key_file))
    }

    pub(super) fn stamp(&self) -> Stamp {
        let (certificates, key) = self.files();
        let client_ca = Some(Path::new(&self.client_ca_file)).filter(|file| !file.as_os_str().is_empty());
        [stamp_of(&certificates), stamp_of(&key), client_ca.and_then(stamp_of)]
    }

    /// Reads the files, or makes them. The error names the setting and the file.
    pub(super) fn load(&self, now_ms: i64) -> Result<Pair, String> {
        let [of_certificates, of_key] = self.settings;
        if self.certificate_file.is_empty() != self.key_file.is_empty() {
            return Err(format!("name both {of_certificates} and {of_key}, or neither"));
        }
        if self.is_own() {
            own_pair::make_if_due(&self.folder, &self.names, now_ms).map_err(|error| {
                format!("cannot make a certificate in {}: {error}", self.folder.display())
            })?;
        }
        let (certificates, key) = self.files();
        let chain =
            read_chain(&certificates).map_err(|error| said(of_certificates, &certificates, &error))?;
        let key_der = PrivateKeyDer::from_pem_file(&key).map_err(|error| said(of_key, &key, &error))?;
        let first =
            chain.first().ok_or_else(|| said(of_certificates, &certificates, &"holds no certificate"))?;
        let not_after_ms = not_after_ms(first)
            .ok_or_else(|| said(of_certificates, &certificates, &"the end of its life cannot be read"))?;
        let digest = Sha256::digest(first);
        let fingerprint = digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
        let versions: &[_] = if self.only_tls13 {
            &[&rustls::version::TLS13]
        } else {
            &[&rustls::version::TLS13, &rustls::version::TLS12]
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?;
        let builder = if self.client_ca_file.is_empty() {
            builder.with_no_client_auth()
        } else {
            let file = Path::new(&self.client_ca_file);
            let said = |error: &dyn Display| said("tls.client_ca_file", file, error);
            let mut roots = RootCertStore::empty();
            for authority in read_chain(file).map_err(|error| said(&error))? {
                roots.add(authority).map_err(|error| said(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| said(&error))?;
            builder.with_client_cert_verifier(verifier)
        };
        // Fails for a key that is not the certificate's.
        let mut config =
            builder.with_single_cert(chain, key_der).map_err(|error| said(of_key, &key, &error))?;
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Pair { config: Arc::new(config), not_after_ms, fingerprint, is_own: self.is_own() })
    }
}

fn said(setting: &str, file: &Path, error: &dyn Display) -> String {
    format!("{setting}: {}: {error}", file.display())
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_file_iter(file)?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::keeper::Keeper;

    fn source(folder: &Path) -> Source {
        Source {
            certificate_file: String::new(),
            key_file: String::new(),
            settings: ["tls.certificate_file", "tls.key_file"],
            client_ca_file: String::new(),
            only_tls13: false,
            protocols: &[b"h2"],
            folder: folder.to_owned(),
            names: vec!["localhost".into(), "127.0.0.1".into()],
        }
    }

    /// 2026-01-01.
    const NOW_MS: i64 = 1_767_225_600_000;
    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn a_pair_is_made_once_kept_for_us_alone_and_renewed_with_the_same_key() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path());
        let keeper = Keeper::default();
        let look = |now_ms| {
            keeper.look(&source, now_ms).unwrap();
            keeper.pair().unwrap()
        };
        let first = look(NOW_MS);
        assert!(first.is_own && first.not_after_ms > NOW_MS + 800 * DAY_MS);
        assert!(Arc::ptr_eq(&first, &look(NOW_MS + DAY_MS)), "nothing changed");
        let (certificate, key) = own_pair::files(folder.path());
        let mode = |file: &Path| std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&key), 0o600);
        let secret = std::fs::read(&key).unwrap();
        let renewed = look(first.not_after_ms - 10 * DAY_MS);
        assert!(renewed.not_after_ms > first.not_after_ms && renewed.fingerprint != first.fingerprint);
        assert_eq!(std::fs::read(&key).unwrap(), secret, "clients may have pinned the key");
        assert!(std::fs::read_to_string(certificate).unwrap().contains("BEGIN CERTIFICATE"));
    }

    #[test]
    fn a_broken_pair_changes_nothing_and_says_why_once() {
        let (ours, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let keeper = Keeper::default();
        let files = own_pair::files(folder.path());
        own_pair::make_if_due(folder.path(), &["localhost".to_owned()], NOW_MS).unwrap();
        let named = Source {
            certificate_file: files.0.display().to_string(),
            key_file: files.1.display().to_string(),
            ..source(ours.path())
        };
        keeper.look(&named, NOW_MS).unwrap();
        let good = keeper.pair().unwrap();
        assert!(!good.is_own);
        let key = std::fs::read(&files.1).unwrap();
        let other = tempfile::tempdir().unwrap();
        own_pair::make_if_due(other.path(), &["localhost".to_owned()], NOW_MS).unwrap();
        let others_key = std::fs::read(own_pair::files(other.path()).1).unwrap();
        for (bad, want) in
            [(&b"nothing"[..], "tls.key_file"), (&others_key[..], "tls.key_file"), (&b""[..], "tls.key_file")]
        {
            std::fs::write(&files.1, bad).unwrap();
            let said = keeper.look(&named, NOW_MS).unwrap_err();
            assert!(said.contains(want) && !said.contains("PRIVATE"), "{said}");
            assert!(Arc::ptr_eq(&good, &keeper.pair().unwrap()) && keeper.problem().is_some());
            assert_eq!(keeper.look(&named, NOW_MS), Ok(()), "said once for each change");
        }
        std::fs::write(&files.1, key).unwrap();
        keeper.look(&named, NOW_MS).unwrap();
        assert_eq!(keeper.problem(), None);
        let half = Source { key_file: String::new(), ..named };
        assert!(half.load(NOW_MS).unwrap_err().contains("name both"));
        let missing = Source { client_ca_file: "/nothing".into(), ..source(ours.path()) };
        assert!(missing.load(NOW_MS).unwrap_err().starts_with("tls.client_ca_file: /nothing"));
    }
}
