//! Looks at the world: host collector and Prometheus scraper.
