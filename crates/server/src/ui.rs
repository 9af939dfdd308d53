//! The web application: files embedded at build time, one page for every route of its own.

use std::io::Read;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::headers::OF_PAGES;

/// Path below the root and gzipped bytes.
static ASSETS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

const NOT_BUILT: &str = "This binary was built without the web application. Run `make ui` and build again; \
    every HTTP API is served all the same.\n";

/// A file of the application, or `None` where there is none of that path.
pub(crate) fn asset(path: &str, headers: &HeaderMap) -> Option<Response> {
    let path = path.trim_start_matches('/');
    let (name, packed) = ASSETS.iter().find(|(name, _)| *name == path)?;
    // The bundler puts a hash of the content into the names below assets/.
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    Some(respond(name, packed, cache, headers))
}

/// The page that every route of the application starts from.
pub(crate) fn page(headers: &HeaderMap) -> Response {
    match ASSETS.iter().find(|(name, _)| *name == "index.html") {
        Some((name, packed)) => respond(name, packed, "no-cache", headers),
        None => (StatusCode::OK, NOT_BUILT).into_response(),
    }
}

fn respond(name: &str, packed: &'static [u8], cache: &'static str, request: &HeaderMap) -> Response {
    let gzip = request
        .get(header::ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|accepted| accepted.split(',').any(|one| one.trim().starts_with("gzip")));
    let mut response = if gzip {
        let mut response = packed.into_response();
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut plain).expect("packed by our own build");
        plain.into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(OF_PAGES));
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "map" | "webmanifest") => "application/json",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
