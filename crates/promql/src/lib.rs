//! PromQL: syntax, and an evaluator over a series source.
