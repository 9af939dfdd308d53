//! A label selector that bounds what somebody sees, over series and over rows alike.
//!
//! Over series its matchers join those of every look-up. Over rows it is one predicate; [`store::RowSnapshot`] and
//! [`store::MetricSnapshot`] apply both beneath every question, so that no question can leave them out.
//!
//! A row's labels are its fields by the names that a search uses, and its attributes: a label is the attribute of
//! the same key, else the first that a row has among those in which one or more of the label's `_` are a `.`, since
//! labels cannot have one: `service_name` is `service.name`. A row without any of them has the empty value, as a
//! series without the label has.

use std::sync::Arc;

use model::{Field, MatchOp, Matcher, Predicate, Signal, Test, TextMatch};
use store::rows::Filter;

use crate::search::{Label, label};

/// Signals whose rows a selector is applied to.
const SIGNALS: [Signal; 4] = [Signal::Logs, Signal::Traces, Signal::Events, Signal::Checks];

/// Each `_` doubles the keys that are looked at.
const UNDERSCORES_MAX: usize = 4;

/// Which telemetry somebody sees.
#[derive(Clone, Debug)]
pub struct Selector {
    matchers: Vec<Matcher>,
}

/// Why a selector cannot bound what is seen, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSelector(String);

impl Selector {
    /// Reads a selector such as `{namespace=~"team-a-.*"}`.
    ///
    /// # Errors
    /// What is no selector, and one with a label that rows cannot be compared by.
    pub fn parse(text: &str) -> Result<Self, InvalidSelector> {
        let matchers = promql::syntax::parse_selector(text).map_err(|error| {
            InvalidSelector(format!("{error}; write one such as {{namespace=~\"team-a-.*\"}}"))
        })?;
        let selector = Self { matchers };
        for signal in SIGNALS {
            let predicate = selector.predicate(signal)?;
            Filter::new(signal, &predicate, i64::MIN, i64::MAX)
                .map_err(|error| InvalidSelector(error.to_string()))?;
        }
        Ok(selector)
    }

    /// What the labels of every series must fulfil.
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// What every row of a signal must fulfil.
    ///
    /// # Errors
    /// When a label cannot be compared with a field of the signal.
    pub fn predicate(&self, signal: Signal) -> Result<Predicate, InvalidSelector> {
        let parts = self.matchers.iter().map(|matcher| of_matcher(matcher, signal));
        Ok(Predicate::All(parts.collect::<Result<_, _>>()?))
    }

    /// The same, ready to be applied.
    ///
    /// # Errors
    /// As [`Self::predicate`].
    pub fn filter(&self, signal: Signal) -> Result<Filter, InvalidSelector> {
        let predicate = self.predicate(signal)?;
        Filter::new(signal, &predicate, i64::MIN, i64::MAX)
            .map_err(|error| InvalidSelector(error.to_string()))
    }
}

/// Rows whose label fulfils a matcher. The first field that a row has is its label.
fn of_matcher(matcher: &Matcher, signal: Signal) -> Result<Predicate, InvalidSelector> {
    let fields = fields_of(&matcher.name, signal)?;
    let exists = |field: &Field| Predicate::Test(field.clone(), Test::Exists);
    let lacks = |field: &Field| Predicate::Not(Box::new(exists(field)));
    let mut any = Vec::with_capacity(fields.len() + 1);
    for (at, field) in fields.iter().enumerate() {
        let mut all: Vec<Predicate> = fields[..at].iter().map(lacks).collect();
        let hit = Predicate::Test(field.clone(), test_of(matcher));
        match matcher.op {
            MatchOp::Equal | MatchOp::Regex => all.push(hit),
            MatchOp::NotEqual | MatchOp::NotRegex => {
                all.extend([exists(field), Predicate::Not(Box::new(hit))]);
            }
        }
        any.push(Predicate::All(all));
    }
    if matcher.matches_empty() {
        any.push(Predicate::All(fields.iter().map(lacks).collect()));
    }
    Ok(Predicate::Any(any))
}

fn test_of(matcher: &Matcher) -> Test {
    let (how, text) = match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => (TextMatch::Equals, matcher.value.as_str().into()),
        // As matchers of series do: anchored, and `.` is a line break too.
        MatchOp::Regex | MatchOp::NotRegex => {
            (TextMatch::Regex, Arc::from(format!("^(?s:{})$", matcher.value)))
        }
    };
    Test::Text { how, text, ignore_case: false }
}

/// Where a label of this name is looked for in a row, in this order.
fn fields_of(name: &str, signal: Signal) -> Result<Vec<Field>, InvalidSelector> {
    let mut fields = match label(name, signal) {
        Label::Key => Vec::new(),
        Label::Field(field) => vec![field],
        Label::NoText => {
            return Err(InvalidSelector(format!(
                "label {name:?} is a time, a level, a duration or an identifier in {}, which a selector does not \
                 compare: use another label",
                signal.as_str()
            )));
        }
    };
    let keys = keys_of(name)?.into_iter().map(|key| Field::Key(key.into()));
    fields.extend(keys);
    // `service` is a name of `service.name`, which may be among the keys again.
    let mut seen = Vec::with_capacity(fields.len());
    fields.retain(|field| {
        !seen.contains(field) && {
            seen.push(field.clone());
            true
        }
    });
    Ok(fields)
}

/// The name as it is, then with ever more of its `_` as `.`.
fn keys_of(name: &str) -> Result<Vec<String>, InvalidSelector> {
    let places: Vec<usize> = name.match_indices('_').map(|(at, _)| at).collect();
    // Names with a full stop are keys as they are, and so is what begins with `__`, such as a series' name.
    if name.contains('.') || name.starts_with("__") {
        return Ok(vec![name.to_owned()]);
    }
    if places.len() > UNDERSCORES_MAX {
        return Err(InvalidSelector(format!(
            "label {name:?} has more than {UNDERSCORES_MAX} underscores, each of which may stand for a full stop: use \
             another label"
        )));
    }
    let mut keys: Vec<String> = (0..1_usize << places.len())
        .map(|dots| {
            let mut key = name.to_owned().into_bytes();
            for (n, at) in places.iter().enumerate().filter(|(n, _)| dots >> n & 1 == 1) {
                debug_assert!(n < UNDERSCORES_MAX);
                key[*at] = b'.';
            }
            String::from_utf8(key).expect("an ASCII character stands for another")
        })
        .collect();
    keys.sort_by_key(|key| key.matches('.').count());
    Ok(keys)
}

#[cfg(test)]
mod tests;
