//! The only writer of telemetry files: write-ahead log, heads, segments, manifest, compaction and retention.
