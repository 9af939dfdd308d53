//! A server for tests: real store and control database in a folder of their own, no sockets. Requests go
//! to the routers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use control::{KeyGrant, KeyScope, KeyScopes, NewKey, Principal};
use http_body_util::BodyExt;
use kit::{
    Budget, Clock, ConfigSources, ConfigurationManager, ServiceRegistry, SharedClock, ShutdownTrigger,
    SystemClock,
};
use model::TenantId;
use tower::ServiceExt;

use crate::app::{App, SharedApp};
use crate::parts::stores::{open_control, open_store, token_settings};
use crate::routes;

/// The machine's clock, and what a test adds to it.
#[derive(Debug, Default)]
pub(crate) struct AheadClock {
    machine: SystemClock,
    ahead_ms: AtomicI64,
}

#[async_trait]
impl Clock for AheadClock {
    fn now_ms(&self) -> i64 {
        self.machine.now_ms() + self.ahead_ms.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic() + Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed).unsigned_abs())
    }

    async fn sleep(&self, duration: Duration) {
        self.machine.sleep(duration).await;
    }
}

/// A running server without listeners. Needs a runtime of several threads.
pub(crate) struct Server {
    pub(crate) app: SharedApp,
    clock: Arc<AheadClock>,
    folder: tempfile::TempDir,
    _end: ShutdownTrigger,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("")
    }
}

impl Server {
    /// With `auth.local` open or required, and settings as flags.
    pub(crate) async fn new(open: bool, settings: &[&str]) -> Self {
        // The program does this at its start.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().expect("folder");
        let data = folder.path().join("data");
        let mut flags: Vec<String> = settings.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("data={}", data.display()));
        let sources = ConfigSources { folder: folder.path().to_owned(), flags, ..ConfigSources::default() };
        let ahead = Arc::<AheadClock>::default();
        let clock: SharedClock = ahead.clone();
        let config = ConfigurationManager::load("testing", sources, clock.clone()).expect("settings");
        let registry = ServiceRegistry::new(clock.clone());
        let (end, shutdown) = ShutdownTrigger::new();
        let budget = Budget::new(512 << 20);
        let app =
            App::new(config, registry, clock.clone(), budget, shutdown, open, crate::OwnTelemetry::default());
        std::fs::create_dir_all(&data).expect("folder");
        app.plug_store(Some(Arc::new(open_store(&app, &data).expect("store"))));
        let control = open_control(&app.settings(), &data, clock).await.expect("control");
        let tokens = control::Tokens::open(control.clone(), token_settings(&app.settings())).await;
        app.plug_tokens(Some(Arc::new(tokens.expect("tokens"))));
        app.plug_control(Some(Arc::new(control)));
        Self { app, clock: ahead, folder, _end: end }
    }

    /// Lets time pass; what sleeps goes on sleeping.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.ahead_ms.fetch_add(crate::app::millis(by), Ordering::Relaxed);
    }

    /// A file beside the data.
    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// A key with these scopes.
    pub(crate) async fn key(&self, scopes: &[KeyScope]) -> String {
        let scopes = KeyScopes::of(scopes).expect("scopes");
        let new = NewKey { name: "test", grant: KeyGrant::Scopes(scopes), expires_at: None };
        let control = self.app.control().expect("control");
        let (_, secret) =
            control.create_key(&TenantId::default_tenant(), &Principal::system(), new).await.expect("key");
        secret.expose().to_owned()
    }

    /// To the main port.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(routes::router(&self.app), request).await
    }

    /// A request to the main port: method and path, header lines, body.
    pub(crate) async fn ask(&self, line: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        self.send(request(line, headers, body)).await
    }
}

/// A request from `GET /path`, header lines and a body.
pub(crate) fn request(line: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let (method, path) = line.split_once(' ').expect("method and path");
    let mut builder = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.into()).expect("request")
}

/// Sends to any router.
pub(crate) async fn send(router: Router, request: Request<Body>) -> Answer {
    let response: Response<Body> = router.oneshot(request).await.expect("routers answer");
    let (head, body) = response.into_parts();
    let collected = body.collect().await.expect("body");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Answer { status: head.status, headers: head.headers, body: collected.to_bytes().into(), trailers }
}
