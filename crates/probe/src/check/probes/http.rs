//! HTTP 1.1 and 2, over connections of our own, so that each leads where it may and each part is timed.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HOST, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use url::Url;

use super::stream::{Io, judge_age};
use crate::check::spec::{Auth, Endpoint, HttpConfig, HttpPlan, HttpVersion, Secret, Statuses, Target};
use crate::check::spec::{endpoint_of, shown};
use crate::check::tls::{self, Trust};
use crate::check::trace::{Fault, Trace, millis};

/// Redirects that are followed.
const REDIRECTS_MAX: usize = 5;

/// Bytes of a body that are read; what comes after is not looked at.
const BODY_BYTES_MAX: usize = 1 << 20;

const SUCCESS: Statuses = Statuses::new(200, 299);
const REDIRECTION: Statuses = Statuses::new(300, 399);

pub(super) const AGENT: &str = concat!("Bellwether/", env!("CARGO_PKG_VERSION"));

/// What is asked for next.
struct Next {
    url: Url,
    method: Method,
    /// Whether body, headers and credentials still go along.
    own: bool,
    body: bool,
}

/// What came back.
struct Answer {
    status: u16,
    location: Option<String>,
    body: Vec<u8>,
    cut: bool,
}

pub(super) async fn probe(trace: &mut Trace<'_>, plan: &HttpPlan) -> Result<(), Fault> {
    let config = &plan.config;
    let Target::Url(url) = &trace.check.target else {
        return Err(Fault::unknown("the target is no URL"));
    };
    let began = trace.clock.monotonic();
    let method = Method::from_bytes(config.method.as_bytes()).map_err(|e| Fault::unknown(e.to_string()))?;
    let mut next = Next { url: url.clone(), method, own: true, body: config.body.is_some() };
    let mut redirects = 0;
    let answer = loop {
        let answer = ask(trace, config, &next).await?;
        trace.details.http_status = Some(answer.status);
        match &answer.location {
            Some(location) if config.follow_redirects => {
                if redirects == REDIRECTS_MAX {
                    return Err(Fault::unhealthy(format!("it redirects more than {REDIRECTS_MAX} times")));
                }
                redirects += 1;
                next = redirected(next, url, answer.status, location)?;
            }
            _ => break answer,
        }
    };
    trace.value("redirects", redirects as f64);
    judge(trace, plan, &answer, trace.clock.monotonic().saturating_sub(began))
}

/// Where a redirect leads (RFC 9110, 15.4), and what may go along: what was written for one origin is for no other.
fn redirected(from: Next, first: &Url, status: u16, location: &str) -> Result<Next, Fault> {
    let leads = |why: &str| Fault::unhealthy(format!("it redirects {why}"));
    let url = from.url.join(location).map_err(|_| leads("to what is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(leads(&format!("to a URL with the scheme {:?}", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(leads("to a URL with a user or password"));
    }
    let own = url.origin() == first.origin();
    let keeps = matches!(status, 307 | 308) || matches!(from.method, Method::GET | Method::HEAD);
    let (method, body) = if keeps { (from.method, from.body) } else { (Method::GET, false) };
    if body && !own {
        return Err(leads("a request with a body to another origin"));
    }
    Ok(Next { url, method, own, body })
}

async fn ask(trace: &mut Trace<'_>, config: &HttpConfig, next: &Next) -> Result<Answer, Fault> {
    let endpoint = endpoint_of(&next.url).map_err(Fault::unhealthy)?;
    let (io, http2) = open(trace, config, &endpoint).await?;
    let request = request(config, next, &endpoint, http2)?;
    exchange(trace, io, http2, request).await
}

async fn open(trace: &mut Trace<'_>, config: &HttpConfig, endpoint: &Endpoint) -> Result<(Io, bool), Fault> {
    let stream = trace.connect(endpoint).await?;
    if !endpoint.tls {
        return Ok((Box::new(stream), config.version == HttpVersion::Http2));
    }
    let alpn: &[&[u8]] = match config.version {
        HttpVersion::Auto => &[b"h2", b"http/1.1"],
        HttpVersion::Http1 => &[b"http/1.1"],
        HttpVersion::Http2 => &[b"h2"],
    };
    let secured = tls::secure(trace, stream, &endpoint.host, &config.tls, alpn, Trust::Needed).await?;
    let http2 = secured.stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if config.version == HttpVersion::Http2 && !http2 {
        return Err(Fault::unhealthy("the server does not speak HTTP/2"));
    }
    Ok((Box::new(secured.stream), http2))
}

fn request(
    config: &HttpConfig,
    next: &Next,
    endpoint: &Endpoint,
    http2: bool,
) -> Result<Request<Full<Bytes>>, Fault> {
    let bad = |e: http::Error| Fault::unknown(format!("the request cannot be made: {e}"));
    let host = match next.url.port() {
        Some(_) => endpoint.to_string(),
        None => next.url.host_str().unwrap_or_default().to_owned(),
    };
    let path = match next.url.query() {
        Some(query) => format!("{}?{query}", next.url.path()),
        None => next.url.path().to_owned(),
    };
    let uri = Uri::builder().path_and_query(path);
    // HTTP/2 carries scheme and host in the address, 1.1 the host in a header.
    let uri = if http2 { uri.scheme(next.url.scheme()).authority(host.as_str()) } else { uri };
    let body = config.body.as_ref().filter(|_| next.body).map(|body| Bytes::from(body.clone()));
    let has_body = body.is_some();
    let mut request = Request::builder()
        .method(next.method.clone())
        .uri(uri.build().map_err(bad)?)
        .version(if http2 { Version::HTTP_2 } else { Version::HTTP_11 })
        .body(Full::new(body.unwrap_or_default()))
        .map_err(bad)?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if !http2 {
        headers.insert(HOST, HeaderValue::from_str(&host).map_err(|e| bad(e.into()))?);
    }
    if !has_body && !matches!(next.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    if next.own {
        add_headers(headers, config.headers.iter(), http2)?;
        if let Some(auth) = &config.auth {
            headers.insert(AUTHORIZATION, authorization(auth)?);
        }
    }
    Ok(request)
}

/// Adds headers that people wrote; `Host` stays the target's with HTTP/2.
pub(super) fn add_headers<'a>(
    headers: &mut HeaderMap,
    written: impl Iterator<Item = (&'a String, &'a Secret)>,
    http2: bool,
) -> Result<(), Fault> {
    for (name, value) in written {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| Fault::unknown(e.to_string()))?;
        if http2 && name == HOST {
            continue;
        }
        headers.insert(name, sensitive(value.reveal())?);
    }
    Ok(())
}

fn authorization(auth: &Auth) -> Result<HeaderValue, Fault> {
    match auth {
        Auth::Basic { username, password } => {
            let pair = STANDARD.encode(format!("{username}:{}", password.reveal()));
            sensitive(&format!("Basic {pair}"))
        }
        Auth::Bearer { token } => sensitive(&format!("Bearer {}", token.reveal())),
    }
}

fn sensitive(value: &str) -> Result<HeaderValue, Fault> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Fault::unknown("a header or credential holds a line break"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Sends a request over a fresh connection and reads the answer.
async fn exchange(
    trace: &mut Trace<'_>,
    io: Io,
    http2: bool,
    request: Request<Full<Bytes>>,
) -> Result<Answer, Fault> {
    let sent = trace.begin("waiting for the answer");
    let io = TokioIo::new(io);
    if http2 {
        let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
        let (mut sender, connection) = shaken.map_err(|e| failed(&e))?;
        return while_driving(connection, async move {
            let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
            read(trace, sent, response).await
        })
        .await;
    }
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(|e| failed(&e))?;
    while_driving(connection, async move {
        let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
        read(trace, sent, response).await
    })
    .await
}

/// Does work that needs a connection driven meanwhile, in the same task, so that dropping one drops both.
pub(super) async fn while_driving<C: Future, W: Future>(connection: C, work: W) -> W::Output {
    tokio::pin!(connection, work);
    let mut open = true;
    poll_fn(|cx| {
        if open && connection.as_mut().poll(cx).is_ready() {
            open = false;
        }
        match work.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(output),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn read(trace: &mut Trace<'_>, sent: Duration, response: Response<Incoming>) -> Result<Answer, Fault> {
    trace.details.timings.first_byte = Some(trace.since(sent));
    trace.begin("reading the answer");
    let status = response.status().as_u16();
    let moved = matches!(status, 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| moved);
    let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let mut incoming = response.into_body();
    let (mut body, mut cut) = (Vec::new(), false);
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|e| failed(&e))?;
        let Some(data) = frame.data_ref() else { continue };
        let room = BODY_BYTES_MAX - body.len();
        body.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            cut = true;
            break;
        }
    }
    Ok(Answer { status, location, body, cut })
}

/// What went wrong with a request, with its causes.
pub(super) fn failed(error: &hyper::Error) -> Fault {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    Fault::unhealthy(format!("the request failed: {text}"))
}

fn judge(trace: &mut Trace<'_>, plan: &HttpPlan, answer: &Answer, took: Duration) -> Result<(), Fault> {
    let config = &plan.config;
    trace.value("bodyBytes", answer.body.len() as f64);
    let expected = &config.expected_status;
    let fine = match expected.is_empty() {
        true => SUCCESS.has(answer.status) || !config.follow_redirects && REDIRECTION.has(answer.status),
        false => expected.iter().any(|range| range.has(answer.status)),
    };
    if !fine {
        let wanted: Vec<String> = expected.iter().map(ToString::to_string).collect();
        let wanted = if wanted.is_empty() { "200-299".to_owned() } else { wanted.join(", ") };
        return Err(Fault::unhealthy(format!("the status is {}, expected: {wanted}", answer.status)));
    }
    let body = String::from_utf8_lossy(&answer.body);
    let part = if answer.cut { "the first MiB of the body" } else { "the body" };
    let quoted = |text: &String| shown(&Value::String(text.clone()));
    if let Some(text) = config.body_contains.iter().find(|text| !body.contains(text.as_str())) {
        return Err(Fault::unhealthy(format!("{part} does not hold {}", quoted(text))));
    }
    if let Some(text) = config.body_not_contains.iter().find(|text| body.contains(text.as_str())) {
        return Err(Fault::unhealthy(format!("{part} holds {}", quoted(text))));
    }
    if plan.body_matches.as_ref().is_some_and(|pattern| !pattern.is_match(&body)) {
        return Err(Fault::unhealthy(format!("{part} does not match the pattern")));
    }
    if !plan.json.is_empty() {
        let value: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| Fault::unhealthy(format!("{part} is no JSON: {error}")))?;
        for (path, assertion) in &plan.json {
            assertion.judge(path, &value).map_err(Fault::unhealthy)?;
        }
    }
    if let Some(days) = config.min_certificate_days {
        judge_age(trace, days)?;
    }
    match config.max_response_time_ms {
        Some(max) if millis(took) > f64::from(max) => Err(Fault::unhealthy(format!(
            "the answer took {:.0} ms, at most {max} are allowed",
            millis(took)
        ))),
        _ => Ok(()),
    }
}
