//! What a route does, takes, gives and refuses.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::param::Param;

/// Makes the schema of a type, with what it refers to among the generator's definitions.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A body or an answer.
#[derive(Clone, Copy)]
pub(crate) struct Content {
    pub(super) media: &'static str,
    pub(super) schema: SchemaOf,
}

/// What a route does.
#[derive(Clone)]
pub(crate) struct Op {
    id: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    pub(super) params: Vec<Param>,
    /// Headers that mean something here.
    pub(super) headers: Vec<Param>,
    /// Bodies that are understood; none where the route takes none.
    pub(super) takes: Vec<Content>,
    pub(super) takes_form: bool,
    pub(super) needs_body: bool,
    /// Answers by status.
    pub(super) gives: Vec<(u16, Option<Content>)>,
    /// Statuses of refusals besides those that follow from the rest.
    pub(super) refuses: Vec<u16>,
}

impl Op {
    /// A route by its identifier, such as `listTeams`, and one line.
    pub(crate) const fn new(id: &'static str, summary: &'static str) -> Self {
        Self {
            id,
            summary,
            about: "",
            params: Vec::new(),
            headers: Vec::new(),
            takes: Vec::new(),
            takes_form: false,
            needs_body: true,
            gives: Vec::new(),
            refuses: Vec::new(),
        }
    }

    pub(super) fn id(&self) -> &'static str {
        self.id
    }

    /// More than a line.
    pub(crate) fn about(mut self, text: &'static str) -> Self {
        self.about = text;
        self
    }

    /// Parameters of the query string, besides those named before.
    pub(crate) fn params(mut self, params: &[Param]) -> Self {
        self.params.extend_from_slice(params);
        self
    }

    /// Headers that mean something here.
    pub(crate) fn headers(mut self, headers: &[Param]) -> Self {
        self.headers.extend_from_slice(headers);
        self
    }

    /// A JSON body.
    pub(crate) fn takes<T: JsonSchema>(self) -> Self {
        self.takes_content(json::<T>())
    }

    /// A body of another kind, besides those named before.
    pub(crate) fn takes_content(mut self, content: Content) -> Self {
        self.takes.push(content);
        self
    }

    /// The body may be left out.
    pub(crate) fn body_is_optional(mut self) -> Self {
        self.needs_body = false;
        self
    }

    /// The parameters in a form.
    pub(super) fn in_form(mut self) -> Self {
        self.takes_form = true;
        self
    }

    /// 200 with JSON.
    pub(crate) fn gives<T: JsonSchema>(self) -> Self {
        self.gives_status(200, json::<T>())
    }

    /// 201 with JSON.
    pub(crate) fn creates<T: JsonSchema>(self) -> Self {
        self.gives_status(201, json::<T>())
    }

    /// 200 with something else than JSON, or with several kinds.
    pub(crate) fn gives_content(self, content: Content) -> Self {
        self.gives_status(200, content)
    }

    /// An answer, besides those named before.
    pub(crate) fn gives_status(mut self, status: u16, content: Content) -> Self {
        self.gives.push((status, Some(content)));
        self
    }

    /// A status without a body: 204 for most.
    pub(crate) fn gives_nothing(mut self, status: u16) -> Self {
        self.gives.push((status, None));
        self
    }

    /// A page of a list: `after` and `limit` are asked, `items` and `next` answered.
    pub(crate) fn gives_page<T: JsonSchema>(self) -> Self {
        self.params(&Page::<()>::PARAMS).gives::<Page<T>>()
    }

    /// Refusals besides those that follow from body, parameters and path.
    pub(crate) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refuses.extend_from_slice(statuses);
        self
    }
}

/// JSON of a type.
fn json<T: JsonSchema>() -> Content {
    Content { media: "application/json", schema: schema_of::<T> }
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// JSON of a type that has a media type of its own.
pub(crate) fn json_as<T: JsonSchema>(media: &'static str) -> Content {
    Content { media, schema: schema_of::<T> }
}

/// Text of a media type.
pub(crate) const fn text(media: &'static str) -> Content {
    Content { media, schema: schema_of::<String> }
}

/// Bytes of a media type.
pub(crate) const fn bytes(media: &'static str) -> Content {
    // In OpenAPI 3.1 bytes are what has no schema.
    Content { media, schema: |_| Schema::default() }
}

/// A page of a list, or the whole of a short one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub(crate) struct Page<T> {
    /// What was found, in the order of the list.
    pub(crate) items: Vec<T>,
    /// What to give as `after` for the page behind this one; `null` behind the last.
    pub(crate) next: Option<String>,
}

impl<T> Page<T> {
    /// What a list that is paged asks.
    pub(crate) const PARAMS: [Param; 2] = [
        super::string("after", "Where the page before ended: its `next`."),
        super::count("limit", "Items of a page: 100 unless given, at most 1000."),
    ];

    /// A whole list.
    pub(crate) fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}
