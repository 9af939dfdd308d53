//! Service kit: facade, registry, lifecycle, supervision, breaker, retry, live configuration, clock and memory budget.
