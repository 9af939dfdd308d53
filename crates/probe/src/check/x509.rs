//! What a certificate says about itself (RFC 5280), as far as a check tells it. Whether that is true is judged
//! elsewhere.

use std::net::{Ipv4Addr, Ipv6Addr};

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`: the version.
const VERSION: u8 = 0xa0;
/// `[3]`: extensions.
const EXTENSIONS: u8 = 0xa3;
/// Object identifiers, their content only.
const OID: u8 = 0x06;
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ORGANIZATION: &[u8] = &[0x55, 4, 10];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 17];
/// General names: `[2]` a DNS name, `[7]` an address.
const DNS_NAME: u8 = 0x82;
const ADDRESS: u8 = 0x87;

/// Names that are told.
const NAMES_MAX: usize = 100;

/// What is told of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) names: Vec<String>,
    /// Milliseconds since the Unix epoch.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

/// Reads a certificate; `None` when it is malformed.
pub(super) fn read(der: &[u8]) -> Option<Facts> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (mut body, _) = expect(certificate, SEQUENCE)?;
    if let Some((_, rest)) = expect(body, VERSION) {
        body = rest;
    }
    let (_, body) = expect(body, INTEGER)?;
    let (_, body) = expect(body, SEQUENCE)?;
    let (issuer, body) = expect(body, SEQUENCE)?;
    let (validity, body) = expect(body, SEQUENCE)?;
    let (subject, body) = expect(body, SEQUENCE)?;
    let (_key, mut body) = expect(body, SEQUENCE)?;
    let (not_before, rest) = element(validity)?;
    let (not_after, _) = element(rest)?;
    let mut names = Vec::new();
    while let Some((part, rest)) = element(body) {
        if part.tag == EXTENSIONS {
            names = alternative_names(part.content).unwrap_or_default();
        }
        body = rest;
    }
    Some(Facts {
        subject: name(subject),
        issuer: name(issuer),
        names,
        not_before: time(not_before)?,
        not_after: time(not_after)?,
    })
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

/// The element at the front, and what comes after it.
fn element(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((Element { tag, content }, rest))
}

fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(found, _)| found.tag == tag).map(|(found, rest)| (found.content, rest))
}

/// The common name of a distinguished name, else its organization, else nothing.
fn name(mut der: &[u8]) -> String {
    let (mut common, mut organization) = (None, None);
    while let Some((set, rest)) = expect(der, SET) {
        der = rest;
        let Some((oid, value)) = expect(set, SEQUENCE).and_then(|(pair, _)| expect(pair, OID)) else {
            continue;
        };
        let Some((text, _)) = element(value) else { continue };
        let text = || Some(String::from_utf8_lossy(text.content).chars().take(200).collect::<String>());
        match oid {
            COMMON_NAME => common = text(),
            ORGANIZATION => organization = text(),
            _ => {}
        }
    }
    common.or(organization).unwrap_or_default()
}

fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    let (mut list, _) = expect(extensions, SEQUENCE)?;
    while let Some((extension, rest)) = expect(list, SEQUENCE) {
        list = rest;
        let (oid, mut value) = expect(extension, OID)?;
        if oid != ALTERNATIVE_NAMES {
            continue;
        }
        // A flag may stand between name and value.
        let octets = loop {
            let (part, rest) = element(value)?;
            if part.tag == OCTETS {
                break part.content;
            }
            value = rest;
        };
        let (mut names, _) = expect(octets, SEQUENCE)?;
        let mut found = Vec::new();
        while let Some((name, rest)) = element(names) {
            names = rest;
            found.extend(general_name(&name));
            if found.len() == NAMES_MAX {
                break;
            }
        }
        return Some(found);
    }
    None
}

fn general_name(name: &Element<'_>) -> Option<String> {
    match name.tag {
        DNS_NAME => Some(String::from_utf8_lossy(name.content).chars().take(253).collect()),
        ADDRESS => match name.content.len() {
            4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(name.content).ok()?).to_string()),
            16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(name.content).ok()?).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, as milliseconds since the Unix epoch.
fn time(element: Element<'_>) -> Option<i64> {
    let text = std::str::from_utf8(element.content).ok()?;
    let text = match element.tag {
        // Two digits are 1950 to 2049 (RFC 5280, 4.1.2.5.1).
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let valid = text.get(14..)? == "Z" && (1..=12).contains(&month) && (1..=31).contains(&day);
    valid.then(|| (days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second) * 1000)
}

/// Days since the Unix epoch of a date in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_tells_names_and_times() {
        let mut params =
            rcgen::CertificateParams::new(vec!["a.example".into(), "10.0.0.1".into(), "::1".into()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "subject");
        params.not_before = rcgen::date_time_ymd(1996, 2, 29);
        params.not_after = rcgen::date_time_ymd(2096, 3, 1);
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let der = certificate.der();
        let want = Facts {
            subject: "subject".into(),
            issuer: "subject".into(),
            names: ["a.example", "10.0.0.1", "::1"].map(String::from).into(),
            not_before: 825_552_000_000,
            not_after: 3_981_398_400_000,
        };
        assert_eq!(read(der), Some(want));
        for cut in 0..der.len() {
            let _ = read(&der[..cut]);
        }
        assert_eq!(read(&[0x30, 0x84, 1, 2, 3, 4]), None);
    }

    #[test]
    fn dates_become_days() {
        for ((year, month, day), want) in
            [((1970, 1, 1), 0), ((2000, 2, 29), 11_016), ((2000, 3, 1), 11_017), ((1969, 12, 31), -1)]
        {
            assert_eq!(days(year, month, day), want, "{year}-{month}-{day}");
        }
    }
}
