//! One request to a target: what is asked for, and how much of the answer is taken.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::client::{HttpClient, request_error};
use super::config::{JobConfig, ScrapeProtocol, short};
use super::error::ScrapeError;
use super::target::Target;

/// Most bytes of an answer where the job sets no limit: some twenty times what the largest common
/// exporters send.
const BODY_BYTES_MAX: u64 = 256 << 20;

/// What a target answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Uncompressed.
    pub(crate) body: Vec<u8>,
    pub(crate) format: ScrapeProtocol,
}

/// The `Accept` header: the protocols of the job by falling weight, then anything.
pub(crate) fn accept(job: &JobConfig) -> String {
    let mut accept = String::new();
    let mut weight = job.protocols.len() + 1;
    for protocol in &job.protocols {
        accept.push_str(protocol.media_type());
        if protocol.knows_escaping() {
            accept.push_str(";escaping=");
            accept.push_str(job.escaping.as_str());
        }
        accept.push_str(&format!(";q=0.{weight},"));
        weight -= 1;
    }
    accept.push_str(&format!("*/*;q=0.{weight}"));
    accept
}

/// Asks a target and reads its answer.
pub(crate) async fn fetch(
    client: &HttpClient,
    job: &JobConfig,
    target: &Target,
    accept: &HeaderValue,
) -> Result<Answer, ScrapeError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, accept.clone());
    let timeout = target.timeout.0.as_secs_f64().to_string();
    if let Ok(timeout) = HeaderValue::from_str(&timeout) {
        headers.insert(HeaderName::from_static("x-prometheus-scrape-timeout-seconds"), timeout);
    }
    let mut response = client.get(&target.url, headers).await?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(ScrapeError::Status(response.status().to_string()));
    }
    let content_type = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let format = format(content_type, job.fallback_protocol)?;
    let limit = Some(job.limits.body_bytes).filter(|limit| *limit != 0).unwrap_or(BODY_BYTES_MAX);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(request_error)? {
        if body.len() as u64 + chunk.len() as u64 > limit {
            return Err(ScrapeError::BodyTooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { body, format })
}

/// The format of an answer by its content type, or the job's fallback where that says nothing we know.
fn format(content_type: &[u8], fallback: Option<ScrapeProtocol>) -> Result<ScrapeProtocol, ScrapeError> {
    let text = String::from_utf8_lossy(content_type).to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let version = parts.find_map(|part| part.strip_prefix("version="));
    let protobuf = "application/vnd.google.protobuf";
    let known = match media_type {
        "application/openmetrics-text" if version == Some("0.0.1") => ScrapeProtocol::OpenMetricsText0_0_1,
        "application/openmetrics-text" => ScrapeProtocol::OpenMetricsText1_0_0,
        "text/plain" if version == Some("1.0.0") => ScrapeProtocol::PrometheusText1_0_0,
        "text/plain" => ScrapeProtocol::PrometheusText0_0_4,
        _ if media_type == protobuf
            && text.contains("proto=io.prometheus.client.metricfamily")
            && text.contains("encoding=delimited") =>
        {
            ScrapeProtocol::PrometheusProto
        }
        _ => {
            let given = match media_type {
                "" => "no content type".to_owned(),
                _ => format!("the content type {:?}", short(&text)),
            };
            let message = format!("the target sent {given}; set fallback_scrape_protocol for its job");
            return fallback.ok_or(ScrapeError::ContentType(message));
        }
    };
    Ok(known)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scrape::config::ScrapeConfig;

    #[test]
    fn accept_lists_the_protocols_by_falling_weight() {
        let check = |rest: &str, want: &str| {
            let text = format!("scrape_configs: [{{job_name: j, {rest}}}]");
            let config = ScrapeConfig::parse(&text, Path::new("x.yml"), &|_| None).expect("valid");
            assert_eq!(accept(&config.jobs[0]), want);
        };
        check(
            "scrape_protocols: [OpenMetricsText1.0.0, PrometheusText0.0.4]",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        );
        check(
            "scrape_protocols: [PrometheusProto], metric_name_validation_scheme: legacy",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=underscores;q=0.2,*/*;q=0.1",
        );
    }

    #[test]
    fn the_content_type_names_the_format() {
        use ScrapeProtocol::*;
        let rows = [
            ("text/plain; version=0.0.4; charset=utf-8", None, Some(PrometheusText0_0_4)),
            ("text/plain", None, Some(PrometheusText0_0_4)),
            ("text/plain;version=1.0.0", None, Some(PrometheusText1_0_0)),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", None, Some(OpenMetricsText1_0_0)),
            ("application/openmetrics-text;version=0.0.1", None, Some(OpenMetricsText0_0_1)),
            (
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
                None,
                Some(PrometheusProto),
            ),
            ("application/vnd.google.protobuf; encoding=text", None, None),
            ("text/html", None, None),
            ("", None, None),
            ("", Some(PrometheusText0_0_4), Some(PrometheusText0_0_4)),
            ("text/html", Some(OpenMetricsText1_0_0), Some(OpenMetricsText1_0_0)),
        ];
        for (content_type, fallback, want) in rows {
            assert_eq!(format(content_type.as_bytes(), fallback).ok(), want, "{content_type:?}");
        }
    }
}
