//! Attributes of rows as JSON objects.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::{Array, ArrayRef, StringViewArray};

use super::chunk::Scope;
use super::eval::Values;
use super::json;
use super::read::Selected;
use super::slice::{Source, StoredColumn};
use crate::error::Result;

/// The attribute columns of one scope, sorted by key.
pub(crate) struct Objects<'a> {
    columns: Vec<Member<'a>>,
    scope: Scope,
    overflow: Option<&'a StringViewArray>,
    rows: usize,
}

struct Member<'a> {
    key: &'a str,
    /// The key as JSON, with the colon.
    quoted: String,
    values: Values<'a>,
}

impl<'a> Objects<'a> {
    pub(crate) fn new(
        source: &'a Source,
        scope: Scope,
        has_overflow: bool,
        selected: &'a Selected,
    ) -> Result<Self> {
        let mut members = Vec::new();
        for (at, own, key, kind) in source.attrs() {
            if own == scope {
                let mut quoted = String::new();
                json::push_string(&mut quoted, key);
                quoted.push(':');
                let values = selected.values(StoredColumn::Attr(at), kind)?;
                members.push(Member { key, quoted, values });
            }
        }
        members.retain(|member| member.values.array().null_count() < selected.rows);
        members.sort_by_key(|member| member.key);
        let overflow = if has_overflow { Some(selected.overflow()?) } else { None };
        Ok(Self { columns: members, scope, overflow, rows: selected.rows })
    }

    /// One object a row.
    pub(crate) fn array(&self) -> ArrayRef {
        let mut out = StringViewBuilder::with_capacity(self.rows);
        let mut object = String::new();
        for row in 0..self.rows {
            object.clear();
            self.push_row(row, &mut object);
            out.append_value(&object);
        }
        Arc::new(out.finish())
    }

    fn push_row(&self, row: usize, out: &mut String) {
        let mut rest = self.overflow_members(row).into_iter().peekable();
        let mut last: Option<Cow<'_, str>> = None;
        out.push('{');
        for member in &self.columns {
            if member.values.array().is_null(row) {
                continue;
            }
            while let Some((key, raw)) = rest.next_if(|(key, _)| **key < *member.key) {
                push_raw(out, &mut last, key, raw);
            }
            // A row has a key once; should it not, the first counts.
            if last.as_deref() != Some(member.key)
                && let Some(value) = member.values.get(row)
            {
                separate(out);
                out.push_str(&member.quoted);
                value.push_json(out);
                last = Some(Cow::Borrowed(member.key));
            }
        }
        for (key, raw) in rest {
            push_raw(out, &mut last, key, raw);
        }
        out.push('}');
    }

    fn overflow_members(&self, row: usize) -> Vec<(Cow<'a, str>, &'a str)> {
        let Some(overflow) = self.overflow.filter(|overflow| overflow.is_valid(row)) else {
            return Vec::new();
        };
        let mut members: Vec<_> = json::overflow_members(overflow.value(row), self.scope).collect();
        members.sort_by(|a, b| a.0.cmp(&b.0));
        members
    }
}

fn separate(out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
}

fn push_raw<'a>(out: &mut String, last: &mut Option<Cow<'a, str>>, key: Cow<'a, str>, raw: &str) {
    if last.as_deref() != Some(&*key) {
        separate(out);
        json::push_string(out, &key);
        out.push(':');
        out.push_str(raw);
        *last = Some(key);
    }
}
