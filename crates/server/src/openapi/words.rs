//! How a refusal is put: in the words of the protocol that the route speaks.

use std::borrow::Cow;

use axum::response::Response;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::error::Fault;
use crate::jaeger;

/// The words of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Words {
    /// Our own.
    Api,
    /// Prometheus's HTTP API.
    Prometheus,
    /// Jaeger's query API.
    Jaeger,
    /// The gateway from HTTP to gRPC that Jaeger's third API is.
    Gateway,
    /// Alertmanager's API.
    Alertmanager,
    /// Plain text, for clients that show or log what they are told.
    Text,
    /// A protocol whose clients read the status only, and whose answer's form follows from what was sent.
    Protocol,
}

impl Words {
    /// Those that have a schema.
    pub(super) const WITH_SCHEMA: [Self; 5] =
        [Self::Api, Self::Prometheus, Self::Jaeger, Self::Gateway, Self::Alertmanager];

    /// A fault, put so.
    pub(crate) fn say(self, fault: &Fault) -> Response {
        match self {
            Self::Api => fault.api(),
            Self::Prometheus => fault.prometheus(),
            Self::Jaeger => jaeger::refusal(fault),
            Self::Gateway => jaeger::gateway_refusal(fault),
            Self::Alertmanager => crate::alertmanager::refusal(fault),
            Self::Text | Self::Protocol => fault.text(),
        }
    }

    /// The name of the schema, with the schema.
    pub(super) fn schema(self) -> Option<(&'static str, Value)> {
        match self {
            Self::Api => Some(("Error", api_error())),
            Self::Prometheus => Some(("PrometheusError", prometheus_error())),
            Self::Jaeger => Some(("JaegerError", jaeger_error())),
            Self::Gateway => Some(("GatewayError", gateway_error())),
            Self::Alertmanager => Some(("AlertmanagerError", alertmanager_error())),
            Self::Text | Self::Protocol => None,
        }
    }

    /// The content of an answer that refuses.
    pub(super) fn content(self) -> Value {
        match (self, self.schema()) {
            (_, Some((name, _))) => {
                let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
                json!({ "application/json": { "schema": schema } })
            }
            (Self::Protocol, None) => json!({ "*/*": {} }),
            (_, None) => json!({ "text/plain": { "schema": { "type": "string" } } }),
        }
    }
}

/// A refusal of our own API, where it is one of several answers.
pub(crate) struct ErrorAnswer;

impl JsonSchema for ErrorAnswer {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ErrorAnswer".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "$ref": "#/components/schemas/Error" })
    }
}

fn api_error() -> Value {
    json!({
        "type": "object",
        "description": "Why a request was refused, and what to do.",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "type": { "type": "string", "const": "MonitoringError" },
                    "code": { "type": "string", "description": "What a program tells refusals apart by." },
                    "message": { "type": "string", "description": "What happened and what to do, for people." },
                    "field": { "type": "string", "description": "Where in the request the fault is." },
                },
                "required": ["type", "code", "message"],
            },
        },
        "required": ["error"],
    })
}

fn prometheus_error() -> Value {
    json!({
        "type": "object",
        "properties": {
            "status": { "type": "string", "const": "error" },
            "errorType": { "type": "string" },
            "error": { "type": "string" },
        },
        "required": ["status", "errorType", "error"],
    })
}

fn jaeger_error() -> Value {
    json!({
        "type": "object",
        "properties": {
            "data": { "type": "null" },
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": { "code": { "type": "integer" }, "msg": { "type": "string" } },
                    "required": ["code", "msg"],
                },
            },
        },
        "required": ["data", "errors"],
    })
}

fn alertmanager_error() -> Value {
    json!({
        "description": "Why a request was refused: a text, or what is missing in the body.",
        "oneOf": [
            { "type": "string" },
            {
                "type": "object",
                "properties": { "code": { "type": "integer" }, "message": { "type": "string" } },
                "required": ["code", "message"],
            },
        ],
    })
}

fn gateway_error() -> Value {
    json!({
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "grpcCode": { "type": "integer" },
                    "httpCode": { "type": "integer" },
                    "httpStatus": { "type": "string" },
                    "message": { "type": "string" },
                },
                "required": ["grpcCode", "httpCode", "httpStatus", "message"],
            },
        },
        "required": ["error"],
    })
}
