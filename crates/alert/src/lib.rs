//! The response side: from a rule that finds something wrong to the people who mend it.
//!
//! Everything that decides is pure and takes the time as an argument; what asks, sends and stores is at the rim.

/// Names and values that tell alerts apart, in order of name.
pub type Labels = std::collections::BTreeMap<String, String>;
