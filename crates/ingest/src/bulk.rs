//! Elasticsearch's `_bulk`: lines of actions, each followed by its document. What becomes of a document's
//! members is told in `json_rows`; its index and id are the attributes `_index` and `_id`.
//!
//! `create` and `index` add a row. `update` and `delete` are refused item by item, since rows never change.
//! Every item has its own status in the answer, in the order of the request.

use std::fmt::Write;

use model::{Reason, Refusals};
use serde_json::{Map, Value as Json, json};

use crate::DecodeError;
use crate::decoded::shown;
use crate::json_rows::JsonRows;
use crate::records::{Context, DecodedRecords};

/// Longest line of an action; real ones stay below 1 KiB.
const ACTION_BYTES_MAX: usize = 64 << 10;
/// The index of documents that name none.
const INDEX_DEFAULT: &str = "logs";

/// A decoded request. The index of a row and of a refusal is the item's position.
#[derive(Clone, Debug)]
pub struct Bulk {
    /// The rows, and refusals for our own counts.
    pub decoded: DecodedRecords,
    /// All items.
    pub items: Vec<Item>,
}

/// One item of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// `create`, `index`, `update` or `delete`.
    pub action: &'static str,
    /// The index that it names.
    pub index: String,
    /// The document's id, the sender's or ours.
    pub id: String,
    /// Why it was refused, in Elasticsearch's terms: type and reason.
    pub error: Option<(&'static str, String)>,
}

/// Decodes a request to `/_bulk`, or to `/<index>/_bulk`.
pub fn decode(body: &[u8], index: Option<&str>, context: &Context) -> Result<Bulk, DecodeError> {
    let mut rows = JsonRows::new(body.len(), context);
    let mut items: Vec<Item> = Vec::new();
    let mut lines =
        body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).peekable();
    while let Some(line) = lines.next() {
        let at = items.len() as u32;
        let mut item = match action(line, index) {
            Ok(item) => item,
            Err(_) if items.is_empty() => {
                return Err(DecodeError::Malformed(format!(
                    "malformed action/metadata line [1]: expected {{\"create\":{{…}}}} but found {}",
                    shown(line)
                )));
            }
            Err(item) => item,
        };
        let malformed = item.error.is_some();
        let result = match item.action {
            _ if malformed => {
                // Whatever follows up to the next action belongs to it.
                while lines.next_if(|line| action(line, index).is_err()).is_some() {}
                let message = format!("{} is no action; send create or index", shown(line));
                Err(("action", Reason::Malformed, message))
            }
            "delete" => {
                Err(("action", Reason::Unsupported, "delete is not supported; rows expire".to_owned()))
            }
            _ => match lines.next() {
                None => Err((
                    "document",
                    Reason::Malformed,
                    "the document is missing behind its action".to_owned(),
                )),
                Some(_) if item.action == "update" => {
                    let message = "update is not supported; send create or index".to_owned();
                    Err(("action", Reason::Unsupported, message))
                }
                Some(document) => {
                    let mut own = vec![("_index", item.index.as_str())];
                    if !item.id.is_empty() {
                        own.push(("_id", item.id.as_str()));
                    }
                    rows.push_text(at, document, &own)
                }
            },
        };
        if let Err((field, reason, message)) = result {
            item.error = Some((kind(reason), format!("{field}: {message}")));
            rows.refuse(at, (field, reason, message));
        }
        if item.id.is_empty() {
            item.id = format!("{:016x}{at:08x}", context.received_at_ns);
        }
        items.push(item);
    }
    Ok(Bulk { decoded: rows.decoded, items })
}

/// Reads a line of an action; `Err` holds the refused item that stands for a line that is none.
fn action(line: &[u8], index: Option<&str>) -> Result<Item, Item> {
    let index = index.unwrap_or(INDEX_DEFAULT);
    let none = || Item {
        action: "index",
        index: index.to_owned(),
        id: String::new(),
        error: Some(("illegal_argument_exception", String::new())),
    };
    if line.len() > ACTION_BYTES_MAX {
        return Err(none());
    }
    let Ok(Json::Object(object)) = serde_json::from_slice::<Json>(line) else { return Err(none()) };
    let mut members = object.iter();
    let (Some((name, about)), None) = (members.next(), members.next()) else { return Err(none()) };
    let action = ["create", "index", "update", "delete"].into_iter().find(|known| known == name);
    let action = action.ok_or_else(none)?;
    let empty = Map::new();
    let about = match about {
        Json::Object(about) => about,
        Json::Null => &empty,
        _ => return Err(none()),
    };
    let text = |name: &str| match about.get(name) {
        Some(Json::String(text)) => Some(text.clone()),
        Some(Json::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    Ok(Item {
        action,
        index: text("_index").unwrap_or_else(|| index.to_owned()),
        id: text("_id").unwrap_or_default(),
        error: None,
    })
}

/// What Elasticsearch answers when it cannot keep up; the sender tries the item again.
const OVERLOAD: &str = "es_rejected_execution_exception";

/// Elasticsearch's name for a class of fault.
fn kind(reason: Reason) -> &'static str {
    match reason {
        Reason::Malformed | Reason::InvalidValue | Reason::InvalidLabels | Reason::InvalidHistogram => {
            "document_parsing_exception"
        }
        Reason::Unsupported
        | Reason::LabelTooLong
        | Reason::TooManyLabels
        | Reason::TooFarInFuture
        | Reason::OutsideRetention
        | Reason::SeriesLimit
        | Reason::TypeConflict
        | Reason::RecordTooLarge
        | Reason::AlreadyCounted => "illegal_argument_exception",
        Reason::Overload => OVERLOAD,
    }
}

/// Builds the answer. `refused` is what the store refused; of very many refusals only the first have a text, the
/// rest say their class.
pub fn answer(mut items: Vec<Item>, refused: &Refusals, took_ms: u64) -> String {
    for refusal in refused.detailed() {
        if let Some(item) = items.get_mut(refusal.index) {
            item.error
                .get_or_insert((kind(refusal.reason), format!("{}: {}", refusal.field, refusal.message)));
        }
    }
    for (index, reason) in refused.undetailed() {
        if let Some(item) = items.get_mut(*index) {
            item.error.get_or_insert((kind(*reason), reason.as_str().to_owned()));
        }
    }
    let errors = refused.items() > 0 || items.iter().any(|item| item.error.is_some());
    let mut answer = format!("{{\"took\":{took_ms},\"errors\":{errors},\"items\":[");
    for (i, Item { action, index, id, error }) in items.iter().enumerate() {
        let about = match error {
            None => {
                json!({"_index": index, "_id": id, "_version": 1, "result": "created", "status": 201,
                       "_shards": {"total": 1, "successful": 1, "failed": 0}})
            }
            Some((kind, reason)) => {
                let status = if *kind == OVERLOAD { 429 } else { 400 };
                json!({"_index": index, "_id": id, "status": status, "error": {"type": kind, "reason": reason}})
            }
        };
        let comma = if i == 0 { "" } else { "," };
        // Writing to a text cannot fail.
        let _ = write!(answer, "{comma}{{\"{action}\":{about}}}");
    }
    answer.push_str("]}");
    answer
}

#[cfg(test)]
mod tests {
    use model::Refusal;
    use proptest::prelude::*;

    use super::*;
    use crate::testing_rows::{refusals, rows};

    const CONTEXT: Context = Context { received_at_ns: 9 };

    fn bulk(body: &str) -> Bulk {
        decode(body.as_bytes(), None, &CONTEXT).expect("readable")
    }

    /// Status of every item.
    fn statuses(bulk: &Bulk) -> Vec<u64> {
        let answer: Json =
            serde_json::from_str(&answer(bulk.items.clone(), &Refusals::default(), 1)).expect("JSON");
        let items = answer["items"].as_array().expect("items");
        let status = |item: &Json| {
            item.as_object().and_then(|i| i.values().next()).map(|about| about["status"].clone())
        };
        items.iter().map(|item| status(item).and_then(|s| s.as_u64()).expect("status")).collect()
    }

    #[test]
    fn documents_become_rows_with_their_index() {
        let body = concat!(
            "{\"create\":{\"_index\":\"filebeat-8\",\"_id\":\"i1\"}}\n",
            "{\"@timestamp\":\"1970-01-01T00:00:01Z\",\"message\":\"m\",\"log\":{\"level\":\"info\"},\"service.name\":\"s\",\"host\":{\"name\":\"h\"}}\n",
            "\r\n{\"index\":{}}\n{\"message\":\"n\"}\n",
        );
        let bulk = bulk(body);
        let want = [
            r#"timestamp=1000000000 severity_number=9 severity_text="info" body="m" | _index="filebeat-8" _id="i1" host.name="h" | service.name="s""#,
            r#"timestamp=9 body="n" | _index="logs""#,
        ];
        assert_eq!(rows(&bulk.decoded), want);
        let answered: Json =
            serde_json::from_str(&answer(bulk.items, &Refusals::default(), 3)).expect("JSON");
        let shards = json!({"total": 1, "successful": 1, "failed": 0});
        let item = |index: &str, id: &str| json!({"_index": index, "_id": id, "_version": 1, "result": "created", "status": 201, "_shards": shards});
        let items = json!([
            {"create": item("filebeat-8", "i1")},
            {"index": item("logs", "000000000000000900000001")}
        ]);
        assert_eq!(answered, json!({"took": 3, "errors": false, "items": items}));
    }

    #[test]
    fn the_path_names_the_index_of_documents_that_name_none() {
        let body = b"{\"index\":{}}\n{}\n{\"index\":{\"_index\":\"own\"}}\n{}";
        let bulk = decode(body, Some("path"), &CONTEXT).expect("readable");
        assert_eq!(bulk.items.iter().map(|i| i.index.as_str()).collect::<Vec<_>>(), ["path", "own"]);
    }

    #[test]
    fn a_bad_item_costs_itself_and_has_its_own_status() {
        let good = "{\"create\":{}}\n{\"message\":\"x\"}\n";
        for (bad, want) in [
            ("{\"update\":{\"_id\":\"1\"}}\n{\"doc\":{}}\n", "1 action unsupported 1"),
            ("{\"delete\":{\"_id\":\"1\"}}\n", "1 action unsupported 1"),
            ("{\"create\":{}}\n{\"open\n", "1 record malformed 1"),
            ("{\"create\":{}}\n7\n", "1 record malformed 1"),
            ("{\"create\":{}}\n{\"@timestamp\":\"soon\"}\n", "1 @timestamp invalid_value 1"),
            ("nonsense\n{\"message\":\"lost\"}\n", "1 action malformed 1"),
            ("{\"upsert\":{}}\n{}\n", "1 action malformed 1"),
        ] {
            let bulk = bulk(&format!("{good}{bad}{good}"));
            assert_eq!(statuses(&bulk), [201, 400, 201], "{bad}");
            assert_eq!(refusals(&bulk.decoded), [want], "{bad}");
            assert_eq!(bulk.decoded.records.rows.iter().map(|r| r.index).collect::<Vec<_>>(), [0, 2]);
        }
        let cut = bulk("{\"create\":{}}\n{}\n{\"create\":{}}");
        assert_eq!(
            (statuses(&cut), refusals(&cut.decoded)),
            (vec![201, 400], vec!["1 document malformed 1".into()])
        );
    }

    #[test]
    fn what_the_store_refuses_shows_in_the_answer() {
        let bulk = bulk("{\"create\":{}}\n{}\n{\"create\":{}}\n{}\n");
        let mut refused = Refusals::default();
        let (field, message) = ("timestamp".into(), "too old".into());
        refused.push(Refusal { index: 1, field, reason: Reason::OutsideRetention, message, items: 1 });
        let answer: Json = serde_json::from_str(&answer(bulk.items, &refused, 0)).expect("JSON");
        assert_eq!(answer["errors"], true);
        assert_eq!(answer["items"][0]["create"]["status"], 201);
        assert_eq!(answer["items"][1]["create"]["status"], 400);
        let error = json!({"type": "illegal_argument_exception", "reason": "timestamp: too old"});
        assert_eq!(answer["items"][1]["create"]["error"], error);
    }

    #[test]
    fn every_one_of_very_many_refusals_shows_at_its_item() {
        let bulk = bulk(&"{\"create\":{}}\n{}\n".repeat(301));
        let mut stage = Refusals::default();
        let mut refused = Refusals::default();
        for index in 0..300 {
            let to = if index < 150 { &mut refused } else { &mut stage };
            let (field, message) = ("timestamp".into(), "too old".into());
            to.push(Refusal { index, field, reason: Reason::OutsideRetention, message, items: 1 });
        }
        refused.append(stage);
        assert_eq!((refused.items(), refused.detailed().len()), (300, Refusals::DETAILED_MAX));
        let answer: Json = serde_json::from_str(&answer(bulk.items, &refused, 0)).expect("JSON");
        for (index, item) in answer["items"].as_array().expect("items").iter().enumerate() {
            assert_eq!(item["create"]["status"], if index < 300 { 400 } else { 201 }, "{index}");
        }
    }

    #[test]
    fn a_body_that_does_not_begin_with_an_action_is_an_error() {
        for body in ["x", "[]", "{\"message\":\"x\"}\n", "{}\n{}"] {
            assert!(
                matches!(decode(body.as_bytes(), None, &CONTEXT), Err(DecodeError::Malformed(_))),
                "{body}"
            );
        }
        assert_eq!(bulk("\n").items, []);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>, lines in "(\\{\"(create|index|update|delete)\":\\{\\}\\}\n|\\{\\}\n|x\n){0,12}") {
            let _ = decode(&body, None, &CONTEXT);
            if let Ok(bulk) = decode(lines.as_bytes(), Some("i"), &CONTEXT) {
                let failed = bulk.items.iter().filter(|item| item.error.is_some()).count();
                prop_assert_eq!(failed, bulk.decoded.refusals.items());
                prop_assert_eq!(bulk.items.len(), failed + bulk.decoded.records.len());
            }
        }
    }
}
