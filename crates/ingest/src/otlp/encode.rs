//! Rows back to OTLP: `ExportLogsServiceRequest` and `ExportTraceServiceRequest` (which is what
//! `TracesData` is on the wire), for exporters, for Tempo's API and for our own telemetry.
//!
//! What the decoders made attributes of becomes a field again: scope name and version, event name, flags,
//! trace state and counts of what was dropped. Attributes of a scope stay with its rows. Of a key that comes
//! twice the first counts. Rows of one resource and scope are sent together, in the order of their first.

mod item; // rows as the messages' fields
mod json; // OTLP/JSON
mod protobuf; // OTLP/protobuf

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use model::{Records, Signal};

use super::Encoding;
use item::{Attrs, Item};

/// Encodes logs or spans as a request. Rows of other signals have no message of their own: empty.
pub fn encode(records: &Records, encoding: Encoding) -> Vec<u8> {
    let groups = match records.signal {
        Signal::Logs | Signal::Traces => groups(records),
        Signal::Metrics | Signal::Events | Signal::Audit | Signal::Checks => Vec::new(),
    };
    match encoding {
        Encoding::Protobuf => protobuf::encode(&groups),
        Encoding::Json => json::encode(records.signal, &groups),
    }
}

/// A resource with its scopes.
struct Group<'a> {
    resource: Attrs<'a>,
    scopes: Vec<ScopeGroup<'a>>,
}

/// A scope with its rows.
struct ScopeGroup<'a> {
    name: &'a str,
    version: &'a str,
    items: Vec<Item<'a>>,
}

fn groups(records: &Records) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut resources: HashMap<u32, usize> = HashMap::new();
    let mut scopes: HashMap<(u32, &str, &str), usize> = HashMap::new();
    for (row, at) in records.rows.iter().zip(0..) {
        let item = Item::new(records, at);
        let group = *resources.entry(row.resource).or_insert_with(|| {
            let resource = item::attrs(records, records.resource_of(at));
            groups.push(Group { resource, scopes: Vec::new() });
            groups.len() - 1
        });
        let of_resource = &mut groups[group].scopes;
        let scope = *scopes.entry((row.resource, item.scope_name, item.scope_version)).or_insert_with(|| {
            let (name, version) = (item.scope_name, item.scope_version);
            of_resource.push(ScopeGroup { name, version, items: Vec::new() });
            of_resource.len() - 1
        });
        of_resource[scope].items.push(item);
    }
    groups
}
