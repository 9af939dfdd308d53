//! What became of the rows, for the outcomes that every item has.

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
    pub rows: u64,
    /// Of these, rows that it could do nothing with, such as a text that does not match; they go on as they
    /// were.
    pub failed: u64,
    /// Rows that it dropped by a rule.
    pub dropped: u64,
    /// Rows that it left out of its sample.
    pub sampled: u64,
}

impl Counts {
    /// Rows dropped by a rule.
    pub fn dropped(&self) -> u64 {
        self.processors.iter().map(|p| p.dropped).sum()
    }

    /// Rows left out of a sample.
    pub fn sampled(&self) -> u64 {
        self.processors.iter().map(|p| p.sampled).sum()
    }
}
