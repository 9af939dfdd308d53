//! The sections of `prometheus.yml` as they are written. Checking and defaults belong to `job`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::http::section_with_http;
use super::values::{ByteSize, NameEscaping, NameScheme, Period, ScrapeProtocol};
use crate::scrape::relabel::Rule;

/// A whole file. Sections that only Prometheus itself needs are read over and reported.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileYaml {
    pub(super) global: Option<GlobalYaml>,
    pub(super) scrape_configs: Option<Vec<ScrapeYaml>>,
    pub(super) scrape_config_files: Option<Vec<String>>,
    runtime: Option<IgnoredAny>,
    alerting: Option<IgnoredAny>,
    rule_files: Option<IgnoredAny>,
    storage: Option<IgnoredAny>,
    tracing: Option<IgnoredAny>,
    remote_write: Option<IgnoredAny>,
    remote_read: Option<IgnoredAny>,
    otlp: Option<IgnoredAny>,
}

impl FileYaml {
    /// The names of sections that are there and have no effect here.
    pub(super) fn unused(&self) -> Vec<&'static str> {
        let sections = [
            ("runtime", &self.runtime),
            ("alerting", &self.alerting),
            ("rule_files", &self.rule_files),
            ("storage", &self.storage),
            ("tracing", &self.tracing),
            ("remote_write", &self.remote_write),
            ("remote_read", &self.remote_read),
            ("otlp", &self.otlp),
        ];
        sections.into_iter().filter(|(_, section)| section.is_some()).map(|(name, _)| name).collect()
    }
}

/// `global`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GlobalYaml {
    pub(super) scrape_interval: Option<Period>,
    pub(super) scrape_timeout: Option<Period>,
    pub(super) scrape_protocols: Option<Vec<ScrapeProtocol>>,
    pub(super) external_labels: Option<BTreeMap<String, String>>,
    pub(super) body_size_limit: Option<ByteSize>,
    pub(super) sample_limit: Option<u64>,
    pub(super) target_limit: Option<u64>,
    pub(super) label_limit: Option<u64>,
    pub(super) label_name_length_limit: Option<u64>,
    pub(super) label_value_length_limit: Option<u64>,
    pub(super) keep_dropped_targets: Option<u64>,
    pub(super) metric_name_validation_scheme: Option<NameScheme>,
    pub(super) metric_name_escaping_scheme: Option<NameEscaping>,
    pub(super) scrape_native_histograms: Option<bool>,
    pub(super) always_scrape_classic_histograms: Option<bool>,
    pub(super) convert_classic_histograms_to_nhcb: Option<bool>,
    pub(super) extra_scrape_metrics: Option<bool>,
    // Of rules, queries and the process itself.
    evaluation_interval: Option<IgnoredAny>,
    rule_query_offset: Option<IgnoredAny>,
    query_log_file: Option<IgnoredAny>,
    scrape_failure_log_file: Option<IgnoredAny>,
    runtime: Option<IgnoredAny>,
}

impl GlobalYaml {
    /// The names of keys that are there and have no effect here.
    pub(super) fn unused(&self) -> Vec<&'static str> {
        let keys = [
            ("global.evaluation_interval", &self.evaluation_interval),
            ("global.rule_query_offset", &self.rule_query_offset),
            ("global.query_log_file", &self.query_log_file),
            ("global.scrape_failure_log_file", &self.scrape_failure_log_file),
            ("global.runtime", &self.runtime),
        ];
        keys.into_iter().filter(|(_, key)| key.is_some()).map(|(name, _)| name).collect()
    }
}

/// Declares the scrape section: keys of ours, and one key for each discovery we lack.
macro_rules! scrape_section {
    ($($foreign:ident)*) => {
        section_with_http! {
            /// One entry of `scrape_configs`.
            struct ScrapeYaml {
                job_name: String,
                scrape_interval: Option<Period>,
                scrape_timeout: Option<Period>,
                scrape_protocols: Option<Vec<ScrapeProtocol>>,
                fallback_scrape_protocol: Option<ScrapeProtocol>,
                scrape_native_histograms: Option<bool>,
                #[serde(alias = "scrape_classic_histograms")]
                always_scrape_classic_histograms: Option<bool>,
                convert_classic_histograms_to_nhcb: Option<bool>,
                native_histogram_bucket_limit: Option<u64>,
                native_histogram_min_bucket_factor: Option<f64>,
                honor_labels: Option<bool>,
                honor_timestamps: Option<bool>,
                track_timestamps_staleness: Option<bool>,
                enable_compression: Option<bool>,
                metrics_path: Option<String>,
                scheme: Option<String>,
                params: Option<BTreeMap<String, Vec<String>>>,
                body_size_limit: Option<ByteSize>,
                sample_limit: Option<u64>,
                target_limit: Option<u64>,
                label_limit: Option<u64>,
                label_name_length_limit: Option<u64>,
                label_value_length_limit: Option<u64>,
                keep_dropped_targets: Option<u64>,
                metric_name_validation_scheme: Option<NameScheme>,
                metric_name_escaping_scheme: Option<NameEscaping>,
                extra_scrape_metrics: Option<bool>,
                scrape_failure_log_file: Option<IgnoredAny>,
                relabel_configs: Option<Vec<Rule>>,
                metric_relabel_configs: Option<Vec<Rule>>,
                static_configs: Option<Vec<StaticYaml>>,
                file_sd_configs: Option<Vec<FileSdYaml>>,
                dns_sd_configs: Option<Vec<DnsSdYaml>>,
                http_sd_configs: Option<Vec<HttpSdYaml>>,
                $($foreign: Option<IgnoredAny>,)*
            }
        }

        impl ScrapeYaml {
            /// The discoveries that are asked for and not available here.
            pub(super) fn foreign(&self) -> Vec<&'static str> {
                let keys = [$((stringify!($foreign), &self.$foreign)),*];
                keys.into_iter().filter(|(_, key)| key.is_some()).map(|(name, _)| name).collect()
            }
        }
    };
}

scrape_section! {
    aws_sd_configs azure_sd_configs consul_sd_configs digitalocean_sd_configs docker_sd_configs
    dockerswarm_sd_configs ec2_sd_configs eureka_sd_configs gce_sd_configs hetzner_sd_configs
    ionos_sd_configs kubernetes_sd_configs kuma_sd_configs lightsail_sd_configs linode_sd_configs
    marathon_sd_configs msk_sd_configs nerve_sd_configs nomad_sd_configs openstack_sd_configs
    ovhcloud_sd_configs puppetdb_sd_configs scaleway_sd_configs serverset_sd_configs stackit_sd_configs
    triton_sd_configs uyuni_sd_configs vultr_sd_configs
}

/// One entry of `static_configs`, also what files and HTTP discovery answer with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::scrape) struct StaticYaml {
    pub(in crate::scrape) targets: Option<Vec<String>>,
    pub(in crate::scrape) labels: Option<BTreeMap<String, String>>,
}

/// One entry of `file_sd_configs`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSdYaml {
    pub(super) files: Vec<PathBuf>,
    pub(super) refresh_interval: Option<Period>,
}

/// One entry of `dns_sd_configs`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DnsSdYaml {
    pub(super) names: Vec<String>,
    pub(super) refresh_interval: Option<Period>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) port: Option<u16>,
}

section_with_http! {
    /// One entry of `http_sd_configs`.
    struct HttpSdYaml {
        url: String,
        refresh_interval: Option<Period>,
    }
}
