//! What became of the rows, for the outcomes that every item has.

use std::collections::BTreeMap;

/// Counts of a pipeline's runs. Start with the default; runs add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the order of the processors.
    pub processors: Vec<ProcessorCounts>,
}

/// Counts of one processor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessorCounts {
    /// Its `name`, else its type.
    pub name: String,
    /// Rows that it was for.
    pub rows: usize,
    /// Of these, rows that it could do nothing with, such as a text that does not match; they go on as they
    /// were.
    pub failed: usize,
    /// Rows that it dropped by a rule.
    pub dropped: usize,
    /// Rows that it left out of its sample.
    pub sampled: usize,
}

impl Counts {
    /// Rows that did not go on, by a rule or because they were left out of a sample.
    pub fn dropped(&self) -> usize {
        self.processors.iter().map(|p| p.dropped + p.sampled).sum()
    }

    /// Of these, rows left out of a sample.
    pub fn sampled(&self) -> usize {
        self.processors.iter().map(|p| p.sampled).sum()
    }

    /// Rows that did not go on, by the name of the processor; only those that held rows back.
    pub fn by_rule(&self) -> BTreeMap<&str, usize> {
        let mut rules = BTreeMap::new();
        for processor in self.processors.iter().filter(|p| p.dropped + p.sampled > 0) {
            *rules.entry(processor.name.as_str()).or_default() += processor.dropped + processor.sampled;
        }
        rules
    }
}
