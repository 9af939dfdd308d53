//! Until when a certificate holds (RFC 5280, section 4.1).

use control::der;

const CONTEXT_0: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of its life, milliseconds since the Unix epoch; `None` for what is no certificate.
pub(super) fn not_after_ms(certificate: &[u8]) -> Option<i64> {
    let (signed, _) = der::value(certificate, der::SEQUENCE)?;
    let (fields, _) = der::value(signed, der::SEQUENCE)?;
    // The version is left out of the oldest ones.
    let fields = der::value(fields, CONTEXT_0).map_or(fields, |(_, rest)| rest);
    let (_serial, fields) = der::value(fields, der::INTEGER)?;
    let (_algorithm, fields) = der::value(fields, der::SEQUENCE)?;
    let (_issuer, fields) = der::value(fields, der::SEQUENCE)?;
    let (validity, _) = der::value(fields, der::SEQUENCE)?;
    let (_not_before, not_after) = time(validity)?;
    let (not_after, _) = time(not_after)?;
    moment_ms(not_after)
}

/// A time as text, with its century, and what comes after it.
fn time(der: &[u8]) -> Option<(String, &[u8])> {
    if let Some((text, rest)) = der::value(der, GENERALIZED_TIME) {
        return Some((str::from_utf8(text).ok()?.to_owned(), rest));
    }
    let (text, rest) = der::value(der, UTC_TIME)?;
    let text = str::from_utf8(text).ok()?;
    let year: u8 = text.get(..2)?.parse().ok()?;
    let century = if year < 50 { "20" } else { "19" };
    Some((format!("{century}{text}"), rest))
}

/// Of `YYYYMMDDHHMMSSZ`.
fn moment_ms(text: String) -> Option<i64> {
    let digits = text.strip_suffix('Z').filter(|digits| digits.len() == 14)?;
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<i8>().ok();
    let year: i16 = digits.get(..4)?.parse().ok()?;
    let date = jiff::civil::Date::new(year, number(4, 6)?, number(6, 8)?).ok()?;
    let time = jiff::civil::Time::new(number(8, 10)?, number(10, 12)?, number(12, 14)?, 0).ok()?;
    let at = date.to_datetime(time).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_spellings() {
        for (year, want) in [(2031, 1_925_078_400_000), (2049, 2_493_158_400_000), (2051, 2_556_230_400_000)]
        {
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 1, 2);
            let signed = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            assert_eq!(not_after_ms(signed.der()), Some(want), "{year}");
        }
        for bad in [&b""[..], b"nothing", &[0x30, 2, 0x30, 0]] {
            assert_eq!(not_after_ms(bad), None);
        }
    }
}
