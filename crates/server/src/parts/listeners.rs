//! The listeners as services: each takes its bound socket once, and binds the address again when it is
//! started anew.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use kit::{BoxError, Registration, ServiceError, Shutdown};
use parking_lot::Mutex;
use tokio::net::TcpListener;

use super::Listeners;
use crate::app::SharedApp;
use crate::tls::Door;
use crate::{listen, routes};

pub(super) fn register(app: &SharedApp, listeners: Listeners) -> Result<(), ServiceError> {
    one(app, "http", "server.listen", listeners.http, "web application and HTTP APIs", routes::router)?;
    if let Some(listener) = listeners.otlp_grpc {
        one(app, "otlp_grpc", "otlp.grpc", listener, "OTLP over gRPC", routes::otlp_grpc)?;
    }
    if let Some(listener) = listeners.otlp_http {
        one(app, "otlp_http", "otlp.http", listener, "OTLP over HTTP", routes::otlp_http)?;
    }
    Ok(())
}

fn one(
    app: &SharedApp,
    name: &'static str,
    setting: &'static str,
    listener: TcpListener,
    description: &str,
    router: fn(&SharedApp) -> Router,
) -> Result<(), ServiceError> {
    let address = listener.local_addr().ok();
    let bound = Arc::new(Mutex::new(Some(listener)));
    let owner = app.clone();
    let run = move |stop: Shutdown| serve(owner.clone(), setting, address, Arc::clone(&bound), router, stop);
    app.registry()
        .register(Registration::task(name, run).depends_on(["store", "control", "tls"]).describe(description))
}

async fn serve(
    app: SharedApp,
    setting: &'static str,
    address: Option<SocketAddr>,
    bound: Arc<Mutex<Option<TcpListener>>>,
    router: fn(&SharedApp) -> Router,
    stop: Shutdown,
) -> Result<(), BoxError> {
    let first = bound.lock().take();
    let listener = match (first, address) {
        (Some(listener), _) => listener,
        (None, Some(address)) => listen::bind(setting, address).await?,
        (None, None) => return Err("the listener's address is not known".into()),
    };
    let door = Door::new(app.settings().tls.mode, Arc::clone(&app.certificates().web));
    let router = router(&app);
    listen::serve(app, listener, door, router, stop).await;
    Ok(())
}
