//! The HTTP API, described where it is registered: a route cannot be added without saying what it does, takes, gives
//! and refuses, and [`document`] makes the OpenAPI 3.1 document of what was said.
//!
//! Bodies and answers are described by the types that serde reads and writes. Who may ask is what the chain
//! enforces, so that the document cannot say otherwise.

mod document; // what was said, as OpenAPI
mod operation; // what a route does
mod param; // what a query string holds
mod words; // how refusals are put

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::handler::Handler;
use axum::http::{Method, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, on};

use document::document;
pub(crate) use operation::{Op, Page, bytes, json_as, text};
pub(crate) use param::{Param, choice, count, string, time};
pub(crate) use words::{ErrorAnswer, Words};

use crate::app::SharedApp;
use crate::chain::{self, Gate, Need};

/// Routes with what they do.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<SharedApp>,
    described: Vec<Described>,
    area: &'static str,
}

/// A route with its method, path and who may ask.
#[derive(Clone)]
struct Described {
    method: Method,
    path: String,
    area: &'static str,
    id: String,
    op: Op,
    access: Option<Access>,
}

/// Who may ask, and how a refusal is put.
#[derive(Clone, Copy)]
struct Access {
    /// `None` for what answers anyone.
    need: Option<Need>,
    words: Words,
}

impl Routes {
    /// Every route in a layer, for instance of headers.
    pub(crate) fn map(mut self, layer: impl FnOnce(Router<SharedApp>) -> Router<SharedApp>) -> Self {
        self.router = layer(self.router);
        self
    }

    /// Routes of an area, by which the document groups them.
    pub(crate) fn new(area: &'static str) -> Self {
        Self { area, ..Self::default() }
    }

    /// `GET`, and with it `HEAD`.
    pub(crate) fn get<T: 'static>(self, path: &str, handler: impl Handler<T, SharedApp>, op: Op) -> Self {
        self.on(&Method::GET, path, handler, op)
    }

    /// `POST`.
    pub(crate) fn post<T: 'static>(self, path: &str, handler: impl Handler<T, SharedApp>, op: Op) -> Self {
        self.on(&Method::POST, path, handler, op)
    }

    /// `PUT`.
    pub(crate) fn put<T: 'static>(self, path: &str, handler: impl Handler<T, SharedApp>, op: Op) -> Self {
        self.on(&Method::PUT, path, handler, op)
    }

    /// `PATCH`.
    pub(crate) fn patch<T: 'static>(self, path: &str, handler: impl Handler<T, SharedApp>, op: Op) -> Self {
        self.on(&Method::PATCH, path, handler, op)
    }

    /// `DELETE`.
    pub(crate) fn delete<T: 'static>(self, path: &str, handler: impl Handler<T, SharedApp>, op: Op) -> Self {
        self.on(&Method::DELETE, path, handler, op)
    }

    /// `GET`, and `POST` with the parameters in a form, as Prometheus's clients send long queries.
    pub(crate) fn get_or_form<T: 'static>(
        self,
        path: &str,
        handler: impl Handler<T, SharedApp>,
        op: Op,
    ) -> Self {
        let form = op.clone().in_form();
        self.get(path, handler.clone(), op).post(path, handler, form)
    }

    fn on<T: 'static>(
        mut self,
        method: &Method,
        path: &str,
        handler: impl Handler<T, SharedApp>,
        op: Op,
    ) -> Self {
        let filter = MethodFilter::try_from(method.clone()).expect("only the methods above are given");
        self.router = self.router.route(path, on(filter, handler));
        self.described.push(Described {
            method: method.clone(),
            path: path.to_owned(),
            area: self.area,
            id: op.id().to_owned(),
            op,
            access: None,
        });
        self
    }

    /// The routes of both. Panics where both claim a method of a path.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.described.extend(other.described);
        self
    }

    /// The same routes below a path too, with identifiers that end in a word.
    pub(crate) fn nest(mut self, prefix: &str, suffix: &str, other: Self) -> Self {
        self.router = self.router.merge(Router::new().nest(prefix, other.router));
        self.described.extend(other.described.into_iter().map(|mut one| {
            one.path.insert_str(0, prefix);
            one.id.push_str(suffix);
            one
        }));
        self
    }

    /// Puts the chain in front of the routes.
    pub(crate) fn behind(mut self, app: &SharedApp, need: Need, words: Words) -> Self {
        let gate = Gate { app: app.clone(), need, words };
        self.router = self.router.route_layer(middleware::from_fn_with_state(gate, chain::gate));
        self.asking(Some(need), words)
    }

    /// For routes that pass the chain themselves, to refuse in their own protocol: what they ask.
    pub(crate) fn passing(self, need: Need, words: Words) -> Self {
        self.asking(Some(need), words)
    }

    /// For routes that answer anyone.
    pub(crate) fn public(self) -> Self {
        self.asking(None, Words::Api)
    }

    /// The router alone, for a port that serves no description.
    pub(crate) fn undescribed(self) -> Router<SharedApp> {
        self.router
    }

    fn asking(mut self, need: Option<Need>, words: Words) -> Self {
        for one in &mut self.described {
            one.access.get_or_insert(Access { need, words });
        }
        self
    }

    /// The router, which also serves the description of its routes at a path.
    pub(crate) fn served_with_document(self, app: &SharedApp, path: &'static str) -> Router<SharedApp> {
        let op = Op::new("getOpenApi", "This description of the HTTP API").gives::<serde_json::Value>();
        // Written when it is first asked for, since it describes this route too.
        let described = Arc::new(OnceLock::new());
        let answer = {
            let (described, text) = (Arc::clone(&described), Arc::new(OnceLock::new()));
            move || async move {
                let all: &Vec<Described> = described.get().expect("it is set before anybody can ask");
                let write = || serde_json::to_vec(&document(all)).expect("JSON values are writable").into();
                let text: &bytes::Bytes = text.get_or_init(write);
                ([(header::CONTENT_TYPE, "application/json")], text.clone()).into_response()
            }
        };
        let own = Self::new("Server").get(path, answer, op).behind(app, Need::SIGNED_IN, Words::Api);
        let all = self.merge(own);
        let _ = described.set(all.described);
        all.router
    }
}
