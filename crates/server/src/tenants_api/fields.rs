//! What bodies and lists of these routes share.

use axum::Json;
use serde::{Deserialize, Deserializer};

use crate::error::Fault;
use crate::openapi::Page;
use crate::prom::params::Params;

/// Items of a page, unless asked for otherwise.
const LIMIT: usize = 100;

/// Items of a page at most.
const LIMIT_MAX: usize = 1_000;

/// Which page of a list.
pub(crate) struct Paging {
    after: Option<String>,
    limit: u32,
}

impl Paging {
    /// Reads `after` and `limit`.
    pub(crate) fn read(params: &Params) -> Result<Self, Fault> {
        let limit = params.count("limit")?.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
        Ok(Self { after: params.get("after").map(str::to_owned), limit: limit as u32 })
    }

    /// Where the page before ended.
    pub(crate) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// How many items at most.
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// The page of what was found, with the place of the last for the next one. A full page may be the last one.
    pub(crate) fn page<T, V: From<T>>(&self, found: Vec<T>, place: impl Fn(&T) -> String) -> Json<Page<V>> {
        let last = found.last().map(place);
        self.page_of(found.into_iter().map(V::from).collect(), last)
    }

    /// The same for items that were made before.
    pub(crate) fn page_of<V>(&self, items: Vec<V>, last: Option<String>) -> Json<Page<V>> {
        let next = last.filter(|_| items.len() >= self.limit as usize);
        Json(Page { items, next })
    }
}

/// For a field where `null` says something else than leaving it out.
pub(super) fn given<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;

    #[derive(Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "given")]
        at: Option<Option<Moment>>,
    }

    #[test]
    fn null_is_told_from_nothing() {
        for (body, want) in [
            ("{}", Some(None)),
            (r#"{"at":null}"#, Some(Some(None))),
            (r#"{"at":"1970-01-01T00:00:01Z"}"#, Some(Some(Some(Moment(1_000))))),
            (r#"{"at":"tomorrow"}"#, None),
            (r#"{"at":1}"#, None),
        ] {
            assert_eq!(serde_json::from_str::<Body>(body).ok().map(|body| body.at), want, "{body}");
        }
    }
}
