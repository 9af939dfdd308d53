//! What was said of every route, as an OpenAPI 3.1 document.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::operation::Content;
use super::param::Param;
use super::{Access, Described, Words};

/// Where schemas are that several places refer to.
const SCHEMAS: &str = "/components/schemas";

/// The document. Panics, which a test runs into, where two schemas or two operations share a name, or a route does
/// not say who may ask.
pub(super) fn document(described: &[Described]) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for one in described {
        let id = operation_id(one);
        let twice = ids.insert(id.clone(), &one.path);
        assert!(twice.is_none(), "two operations are called {id}: {twice:?} and {}", one.path);
        let method = one.method.as_str().to_ascii_lowercase();
        paths.entry(&one.path).or_default().insert(method, operation(one, &mut schemas));
    }
    let mut tags: Vec<&str> = described.iter().map(|one| one.area).collect();
    tags.sort_unstable();
    tags.dedup();
    let tags: Vec<Value> = tags.into_iter().map(|name| json!({ "name": name })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bellwether",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": { "schemas": schemas.finish(), "securitySchemes": security_schemes() },
    })
}

const ABOUT: &str = "Every route of the HTTP port. `x-permission` names what a caller needs; `x-open` marks what \
    answers tenant `default` without a credential while `auth.local = \"open\"`. Telemetry over gRPC (OTLP) and the \
    messages of the WebSocket are described in the documentation.";

fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, or a signed access token of `/api/v1/auth/token`.",
        },
        "basic": {
            "type": "http",
            "scheme": "basic",
            "description": "An API key as the password, for clients that send nothing else; the name does not matter.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": crate::access::SESSION_COOKIE,
            "description": "A session of the web application. Changes also carry its `csrf` in `X-CSRF-Token`.",
        },
    })
}

/// A route that takes its parameters in a form has a second method that takes them in the query string.
fn operation_id(one: &Described) -> String {
    if one.op.takes_form { format!("{}ByForm", one.id) } else { one.id.clone() }
}

fn operation(one: &Described, schemas: &mut Schemas) -> Value {
    let access = one.access.unwrap_or_else(|| panic!("{} does not say who may ask", one.id));
    let op = &one.op;
    let mut parameters: Vec<Value> = path_names(&one.path).map(path_parameter).collect();
    if !op.takes_form {
        parameters.extend(op.params.iter().map(|param| parameter("query", param)));
    }
    parameters.extend(op.headers.iter().map(|param| parameter("header", param)));
    let mut value = json!({
        "operationId": operation_id(one),
        "summary": op.summary,
        "tags": [one.area],
        "parameters": parameters,
        "responses": responses(one, access, schemas),
        "security": security(access),
    });
    if !op.about.is_empty() {
        value["description"] = json!(op.about);
    }
    if let Some(body) = body(one, schemas) {
        value["requestBody"] = body;
    }
    if let Some(need) = access.need {
        value["x-permission"] = json!(need.of(&one.method).map(control::Permission::as_str));
        if need.is_open() {
            value["x-open"] = json!(true);
        }
    }
    value
}

fn security(access: Access) -> Value {
    match access.need {
        Some(_) => json!([{ "bearer": [] }, { "basic": [] }, { "session": [] }]),
        None => json!([]),
    }
}

/// The names in braces of a path.
fn path_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| {
        let inner = part.strip_prefix('{')?;
        inner.split_once('}').map(|(name, _)| name)
    })
}

fn path_parameter(name: &str) -> Value {
    let mut parameter = json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } });
    if let Some(example) = EXAMPLES.iter().find(|(of, _)| *of == name) {
        parameter["example"] = json!(example.1);
    }
    parameter
}

/// What a part of a path may be, where not every text means something.
const EXAMPLES: [(&str, &str); 3] = [("tenant", "current"), ("kind", "dashboard"), ("host", "default")];

fn parameter(place: &str, param: &Param) -> Value {
    json!({
        "name": param.name,
        "in": place,
        "description": param.about,
        "required": param.is_required,
        "schema": param.schema(),
    })
}

fn body(one: &Described, schemas: &mut Schemas) -> Option<Value> {
    let op = &one.op;
    if op.takes_form {
        let required: Vec<&str> = op.params.iter().filter(|p| p.is_required).map(|p| p.name).collect();
        let properties: Map<String, Value> =
            op.params.iter().map(|param| (param.name.to_owned(), param.schema())).collect();
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        let content = json!({ "application/x-www-form-urlencoded": { "schema": schema } });
        return Some(json!({ "content": content, "required": !required.is_empty() }));
    }
    if op.takes.is_empty() {
        return None;
    }
    let content: Map<String, Value> =
        op.takes.iter().map(|content| (content.media.to_owned(), schemas.taken(*content))).collect();
    Some(json!({ "content": content, "required": op.needs_body }))
}

fn responses(one: &Described, access: Access, schemas: &mut Schemas) -> Value {
    let op = &one.op;
    let mut all = BTreeMap::new();
    for (status, content) in &op.gives {
        let response = all.entry(*status).or_insert_with(
            || json!({ "description": if *status == 204 { "Done." } else { "The answer." } }),
        );
        if let Some(content) = content {
            let given = schemas.given(*content);
            response["content"][content.media] = given;
        }
    }
    for status in refusals(one, access) {
        all.entry(status).or_insert_with(|| refusal(status, access.words));
    }
    let all: Map<String, Value> =
        all.into_iter().map(|(status, response)| (status.to_string(), response)).collect();
    Value::Object(all)
}

/// Statuses of refusals: those that follow from what a route takes, and its own.
fn refusals(one: &Described, access: Access) -> Vec<u16> {
    let op = &one.op;
    // Overload, and a database that is busy, may hold up every route.
    let mut all = vec![429, 503];
    // A body or parameters may be wrong; so may a path, and a `Host` or `Origin` that is no text.
    all.push(400);
    if access.need.is_some() {
        all.extend([401, 403]);
    }
    if path_names(&one.path).next().is_some() {
        all.push(404);
    }
    if !op.takes.is_empty() || op.takes_form {
        all.push(413);
    }
    all.extend(&op.refuses);
    all
}

fn refusal(status: u16, words: Words) -> Value {
    let description = match status {
        400 => "The request is wrong; the answer says where.",
        401 => "No valid credential.",
        403 => "The caller may not do this.",
        404 => "There is nothing of that name for this caller.",
        409 => "It is there already, or has changed since.",
        412 => "It is not what `If-Match` names any more.",
        413 => "The body is over the limit.",
        415 => "A content type or encoding that is not read.",
        422 => "A query that cannot be computed as asked.",
        429 => "Over a limit of requests; `Retry-After` says when to ask again.",
        503 => "Not for the moment; `Retry-After` says when to ask again.",
        _ => "Refused.",
    };
    json!({ "description": description, "content": words.content() })
}

/// Schemas by name: what is read and what is written may differ for one type.
struct Schemas {
    taken: SchemaGenerator,
    given: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = SCHEMAS.into();
                settings.meta_schema = None;
            })
        };
        Self {
            taken: settings().for_deserialize().into_generator(),
            given: settings().for_serialize().into_generator(),
        }
    }

    fn taken(&mut self, content: Content) -> Value {
        media(&(content.schema)(&mut self.taken))
    }

    fn given(&mut self, content: Content) -> Value {
        media(&(content.schema)(&mut self.given))
    }

    fn finish(mut self) -> Map<String, Value> {
        let mut all = self.taken.take_definitions(true);
        let mut twice = Vec::new();
        for (name, schema) in self.given.take_definitions(true) {
            match all.insert(name.clone(), schema.clone()) {
                Some(other) if other != schema => {
                    twice.push(format!("{name}: {other} as it is read, {schema} as written"))
                }
                _ => {}
            }
        }
        assert!(twice.is_empty(), "two schemas have one name: {}", twice.join("; "));
        for words in Words::WITH_SCHEMA {
            let (name, schema) = words.schema().expect("these have one");
            assert!(all.insert(name.to_owned(), schema).is_none(), "two schemas are called {name}");
        }
        // The generator numbers types that share a name, which no reader could tell apart.
        let base = |name: &str| name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        let is_numbered = |name: &&String| base(name) != **name && all.contains_key(&base(name));
        let numbered: Vec<String> = all.keys().filter(is_numbered).map(|name| base(name)).collect();
        assert!(numbered.is_empty(), "two types are called {}", numbered.join(", "));
        all
    }
}

fn media(schema: &schemars::Schema) -> Value {
    let schema = schema.as_value();
    // Bytes have no schema at all.
    if schema.as_object().is_some_and(Map::is_empty) { json!({}) } else { json!({ "schema": schema }) }
}
