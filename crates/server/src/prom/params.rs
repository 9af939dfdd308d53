//! Parameters of Prometheus's HTTP API: from the query string and, for POST, from a form body; both may
//! be given, as Grafana does.

use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use axum::response::Response;

use crate::error::Fault;

/// Largest form body; a query of this size is far beyond any that a person or dashboard sends.
const FORM_BYTES_MAX: usize = 2 << 20;

/// Named values in the order given; a name may repeat (`match[]`).
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Splits `a=b&c=d`, decoding percent signs and plus signs.
    fn extend_from(&mut self, encoded: &[u8]) {
        self.0.extend(url::form_urlencoded::parse(encoded).into_owned());
    }

    /// The first non-empty value of a name.
    pub(crate) fn get<'a>(&'a self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
            .find(|value| !value.is_empty())
    }

    /// Every value of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A value that must be there.
    pub(crate) fn required<'a>(&'a self, name: &str) -> Result<&'a str, Fault> {
        self.get(name).ok_or_else(|| Fault::invalid(name, "it is required"))
    }

    /// An instant in milliseconds, if given.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, Fault> {
        self.get(name).map(|text| parse_time(text).map_err(|why| Fault::invalid(name, why))).transpose()
    }

    /// A positive duration in milliseconds, if given.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<i64>, Fault> {
        self.get(name).map(|text| parse_duration(text).map_err(|why| Fault::invalid(name, why))).transpose()
    }

    /// A count, if given.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, Fault> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|_| Fault::invalid(name, format!("cannot parse {text:?} to a non-negative number")))
        };
        self.get(name).map(parse).transpose()
    }
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Response;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Response> {
        let mut params = Self::default();
        let is_form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .is_some_and(|t| t.starts_with("application/x-www-form-urlencoded"));
        let query = request.uri().query().unwrap_or_default().to_owned();
        if matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH) && is_form {
            let body = axum::body::to_bytes(request.into_body(), FORM_BYTES_MAX).await.map_err(|_| {
                Fault::TooLarge(format!("the form is over {FORM_BYTES_MAX} bytes")).prometheus()
            })?;
            params.extend_from(&body);
        }
        params.extend_from(query.as_bytes());
        Ok(params)
    }
}

/// Unix seconds with a fraction, or RFC 3339, to milliseconds.
pub(crate) fn parse_time(text: &str) -> Result<i64, String> {
    // What client libraries send for "since ever" and "for ever"; no calendar reaches that far.
    match text {
        "-292273086-05-16T16:47:06Z" => return Ok(i64::MIN),
        "292277025-08-18T07:12:54.999999999Z" | "292277025-08-18T07:12:54.999Z" => return Ok(i64::MAX),
        _ => {}
    }
    let shown: String = text.chars().take(60).collect();
    let refuse = || format!("cannot parse {shown:?} to a valid timestamp: give Unix seconds or RFC 3339");
    if let Ok(seconds) = text.parse::<f64>() {
        return to_millis(seconds).ok_or_else(refuse);
    }
    if let Ok(t) = text.parse::<jiff::Timestamp>() {
        return Ok(t.as_millisecond());
    }
    // The last day of the year 9999, which not every zone has.
    let civil = text.strip_suffix('Z').and_then(|text| text.parse::<jiff::civil::DateTime>().ok());
    let since = civil.map(|t| t.duration_since(jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0)));
    since.and_then(|t| i64::try_from(t.as_millis()).ok()).ok_or_else(refuse)
}

/// Seconds with a fraction, or `1h30m`, to milliseconds.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    let shown: String = text.chars().take(60).collect();
    let refuse =
        || format!("cannot parse {shown:?} to a valid duration: give seconds or a duration such as 5m");
    if let Ok(seconds) = text.parse::<f64>() {
        return to_millis(seconds).ok_or_else(refuse);
    }
    promql::syntax::parse_duration(text).map_err(|_| refuse())
}

fn to_millis(seconds: f64) -> Option<i64> {
    let millis = (seconds * 1000.0).round();
    (millis.abs() < 9.2e18).then_some(millis as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_unix_seconds_or_rfc_3339() {
        for (text, want) in [
            ("0", Some(0)),
            ("1700000000.123", Some(1_700_000_000_123)),
            ("-1.5", Some(-1500)),
            ("1e3", Some(1_000_000)),
            ("2015-06-03T13:21:58.555Z", Some(1_433_337_718_555)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("NaN", None),
            ("Inf", None),
            ("yesterday", None),
            ("-292273086-05-16T16:47:06Z", Some(i64::MIN)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799_000)),
        ] {
            assert_eq!(parse_time(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn durations_are_seconds_or_prometheus_durations() {
        for (text, want) in [
            ("60", Some(60_000)),
            ("0.5", Some(500)),
            ("1h30m", Some(5_400_000)),
            ("1d", Some(86_400_000)),
            ("100ms", Some(100)),
            ("1m1h", None),
            ("5", Some(5000)),
            ("5x", None),
            ("h", None),
            ("", None),
            ("99999999999999y", None),
        ] {
            assert_eq!(parse_duration(text).ok(), want, "{text}");
        }
    }
}
