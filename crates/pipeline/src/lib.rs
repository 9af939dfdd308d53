//! What happens to rows between decoding and storing: parsing, renaming, redaction, sampling, and the figures
//! of spans.
//!
//! Pure: no I/O and no clock; whoever owns a pipeline gives it the time. Everything a configuration can ask for
//! is bounded, and a processor that cannot do its work on a row leaves the row as it was and counts it.

pub mod sampling; // which traces are kept, and the spec's trace manager
pub mod spanmetrics; // calls, latency and the service graph from spans

mod condition; // which rows a processor is for
mod config; // reading configuration with good complaints
mod counts; // what became of the rows
mod field; // fields by name
mod level; // severities by word
mod parse; // texts to fields
mod patterns; // regular expressions and grok
mod processor; // one step
mod redact; // secrets and personal data
mod time; // times in fields

#[cfg(test)]
mod testing; // rows from lines of text and back
#[cfg(test)]
mod tests;

use model::Records;

pub use config::ConfigError;
pub use counts::{Counts, ProcessorCounts};

use config::Members;
use processor::Processor;

/// Processors of one pipeline.
const PROCESSORS_MAX: usize = 64;
/// Texts of rows up to which processors add more. A request is far below it, and what a processor adds to one row
/// is bounded, so that positions always fit 32 bits.
const TEXT_BYTES_MAX: usize = 1 << 30;
/// Attributes that nobody refers to any more may be as many as those that are in use, and these.
const UNUSED_ATTRS_MAX: usize = 4096;

/// A compiled pipeline: `{"processors":[{"type":…, "if"?:…, …}, …]}`. Cheap to clone compared with what it does.
#[derive(Clone, Debug, Default)]
pub struct Pipeline {
    processors: Vec<Processor>,
}

impl Pipeline {
    /// Compiles a configuration. The error names the path, the value and what would be right.
    pub fn from_config(config: &serde_json::Value) -> Result<Self, ConfigError> {
        let mut members = Members::new("", config)?;
        // A saved pipeline carries these for people.
        for about in ["name", "description"] {
            members.text(about)?;
        }
        let processors = processors(&mut members)?;
        members.end()?;
        Ok(Self { processors })
    }

    /// True without processors.
    pub fn is_empty(&self) -> bool {
        self.processors.is_empty()
    }

    /// True when a processor takes rows away rather than change them.
    pub fn drops(&self) -> bool {
        self.processors.iter().any(Processor::drops)
    }

    /// Runs what changes rows, redaction included, and leaves out what takes them away: the rows for figures that
    /// count everything that was sent.
    pub fn run_changes(&self, records: &mut Records) {
        let mut uncounted = ProcessorCounts::default();
        for processor in self.processors.iter().filter(|processor| !processor.drops()) {
            processor.run(records, &mut uncounted);
            compact(records);
        }
    }

    /// Runs the processors over the rows, in their order. [`model::RecordRow::index`] still says which row was
    /// which.
    pub fn run(&self, records: &mut Records, counts: &mut Counts) {
        if counts.processors.len() != self.processors.len() {
            let names = self
                .processors
                .iter()
                .map(|p| ProcessorCounts { name: p.name.clone(), ..Default::default() });
            counts.processors = names.collect();
        }
        for (processor, counts) in self.processors.iter().zip(&mut counts.processors) {
            if records.is_empty() {
                return;
            }
            processor.run(records, counts);
            compact(records);
        }
    }
}

/// Puts the attributes of rows and resources together again, where changed rows have left too many behind.
fn compact(records: &mut Records) {
    let ranges = records.rows.iter().map(|row| &row.attrs).chain(&records.resources);
    let used: usize = ranges.map(|range| range.len()).sum();
    if records.attrs.len() <= 2 * used + UNUSED_ATTRS_MAX {
        return;
    }
    let before = std::mem::replace(&mut records.attrs, Vec::with_capacity(used));
    let attrs = &mut records.attrs;
    for range in records.rows.iter_mut().map(|row| &mut row.attrs).chain(&mut records.resources) {
        let first = attrs.len() as u32;
        attrs.extend_from_slice(&before[range.start as usize..range.end as usize]);
        *range = first..attrs.len() as u32;
    }
}

fn processors(members: &mut Members<'_>) -> Result<Vec<Processor>, ConfigError> {
    let listed = members.list("processors", PROCESSORS_MAX)?;
    listed.into_iter().map(|(path, value)| Processor::new(&path, value)).collect()
}
