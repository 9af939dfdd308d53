//! A pair made here, signed by itself, for a first use without an authority. Its key stays when the certificate
//! is renewed, so that clients may pin it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::expiry::not_after_ms;

/// Life of a certificate: the longest that every system accepts.
const LIFE_DAYS: i64 = 825;
/// One that has less than this left is made anew.
const RENEW_DAYS: i64 = 30;
const DAY_MS: i64 = 86_400_000;

/// Certificate and key below a folder.
pub(super) fn files(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("certificate.pem"), folder.join("key.pem"))
}

/// True when a certificate is near its end.
pub(super) fn is_due(not_after_ms: i64, now_ms: i64) -> bool {
    not_after_ms - now_ms < RENEW_DAYS * DAY_MS
}

/// Makes what is missing or near its end.
pub(super) fn make_if_due(folder: &Path, names: &[String], now_ms: i64) -> io::Result<()> {
    let (certificate, key) = files(folder);
    let known = CertificateDer::from_pem_file(&certificate).ok().and_then(|der| not_after_ms(&der));
    if key.exists() && known.is_some_and(|end| !is_due(end, now_ms)) {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    let pair = match std::fs::read_to_string(&key) {
        Ok(pem) => rcgen::KeyPair::from_pem(&pem).map_err(io::Error::other)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let pair = rcgen::KeyPair::generate().map_err(io::Error::other)?;
            write(&key, &pair.serialize_pem())?;
            pair
        }
        Err(error) => return Err(error),
    };
    let names: Vec<String> = names.iter().filter(|name| is_name(name)).cloned().collect();
    let mut params = rcgen::CertificateParams::new(names).map_err(io::Error::other)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Bellwether");
    let day = |at_ms| {
        let at = jiff::Timestamp::from_millisecond(at_ms).map_err(io::Error::other)?;
        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let (year, month, day) = (date.year(), date.month(), date.day());
        Ok::<_, io::Error>(rcgen::date_time_ymd(year.into(), month.unsigned_abs(), day.unsigned_abs()))
    };
    params.not_before = day(now_ms - DAY_MS)?;
    params.not_after = day(now_ms + LIFE_DAYS * DAY_MS)?;
    let signed = params.self_signed(&pair).map_err(io::Error::other)?;
    write(&certificate, &signed.pem())
}

/// What may stand in a certificate.
fn is_name(name: &str) -> bool {
    let is_host =
        |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    name.parse::<std::net::IpAddr>().is_ok() || !name.is_empty() && is_host(name)
}

/// For nobody but us, whole or not at all.
fn write(file: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let draft = file.with_extension("new");
    let _ = std::fs::remove_file(&draft);
    let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    std::fs::rename(&draft, file)
}
