//! Answers questions over the store: the series source of PromQL, metadata look-ups and exports.
