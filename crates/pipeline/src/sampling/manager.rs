//! The spec's TraceManager: a trace is sampled, then processed, then exported, and the result says what
//! happened.
//!
//! `{"samplers":[…], "processors":[…], "exporters":[{"type":"file","path"} | {"type":"otlp_http","endpoint",
//! "headers"?}]}`. Processors are those of a pipeline. Exporters are only described here; whoever owns the
//! manager carries them out.

use model::Records;
use serde_json::Value as Json;

use super::Samplers;
use crate::config::{ConfigError, Members};
use crate::{Counts, Pipeline, processors};

const EXPORTERS_MAX: usize = 16;
const HEADERS_MAX: usize = 32;

/// Where traces go besides the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExporterConfig {
    /// Appends OTLP JSON, one request a line, to a file.
    File {
        /// Its path.
        path: String,
    },
    /// Posts OTLP.
    OtlpHttp {
        /// The whole URL, such as `http://collector:4318/v1/traces`.
        endpoint: String,
        /// Headers to send along, name and value.
        headers: Vec<(String, String)>,
    },
}

impl ExporterConfig {
    /// For messages: the path, or the URL.
    pub fn target(&self) -> &str {
        match self {
            Self::File { path } => path,
            Self::OtlpHttp { endpoint, .. } => endpoint,
        }
    }
}

/// Carries exports out. An implementation that sends over the network takes the spans into a bounded queue and
/// says when that is full.
pub trait TraceExporter {
    /// Exports spans, or says why it cannot.
    fn export(&mut self, to: &ExporterConfig, spans: &Records) -> Result<(), String>;
}

/// Wishes for one trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceOptions {
    /// Decides in place of the samplers, as the sampled flag of an incoming `traceparent` may.
    pub sampled: Option<bool>,
}

/// What happened to a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceOutcome {
    /// The samplers left it out; it was neither processed nor exported.
    NotSampled,
    /// Processors dropped all of its spans; nothing was exported.
    Dropped,
    /// It is to be stored; exports went as [`TraceResult::exports`] says.
    Captured,
}

/// What happened to one export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportOutcome {
    /// [`ExporterConfig::target`].
    pub target: String,
    /// Why it failed, where it did.
    pub error: Option<String>,
}

/// The result of [`TraceManager::capture_trace`].
#[derive(Clone, Debug)]
pub struct TraceResult {
    /// What happened to the trace.
    pub outcome: TraceOutcome,
    /// Spans that came in.
    pub spans_in: usize,
    /// Spans that the samplers kept.
    pub spans_sampled: usize,
    /// The spans to store, after all processors.
    pub spans: Records,
    /// What the processors did.
    pub counts: Counts,
    /// Every exporter, in order; empty where nothing was exported.
    pub exports: Vec<ExportOutcome>,
}

/// Samplers, processors and exporters of one configuration.
#[derive(Clone, Debug, Default)]
pub struct TraceManager {
    samplers: Samplers,
    pipeline: Pipeline,
    exporters: Vec<ExporterConfig>,
}

impl TraceManager {
    /// Reads a configuration. The error names the path, the value and what would be right.
    pub fn from_config(config: &Json) -> Result<Self, ConfigError> {
        let mut members = Members::new("", config)?;
        for about in ["name", "description"] {
            members.text(about)?;
        }
        let samplers = Samplers::of_list(members.list("samplers", super::SAMPLERS_MAX)?)?;
        let pipeline = Pipeline { processors: processors(&mut members)? };
        let exporters = members.list("exporters", EXPORTERS_MAX)?.into_iter();
        let exporters = exporters.map(|(path, value)| exporter(&path, value)).collect::<Result<_, _>>()?;
        members.end()?;
        Ok(Self { samplers, pipeline, exporters })
    }

    /// Its samplers, for whoever decides later over whole traces.
    pub fn samplers(&self) -> &Samplers {
        &self.samplers
    }

    /// Its processors.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Its exporters.
    pub fn exporters(&self) -> &[ExporterConfig] {
        &self.exporters
    }

    /// Samples, processes and exports the spans of a trace, or of several.
    pub fn capture_trace(
        &self,
        mut trace: Records,
        options: TraceOptions,
        exporter: &mut dyn TraceExporter,
    ) -> TraceResult {
        let spans_in = trace.len();
        match options.sampled {
            Some(true) => {}
            Some(false) => trace.retain(|_, _| false),
            None => self.samplers.retain(&mut trace),
        }
        let mut result = TraceResult {
            outcome: TraceOutcome::NotSampled,
            spans_in,
            spans_sampled: trace.len(),
            spans: trace,
            counts: Counts::default(),
            exports: Vec::new(),
        };
        if result.spans.is_empty() {
            return result;
        }
        self.pipeline.run(&mut result.spans, &mut result.counts);
        if result.spans.is_empty() {
            result.outcome = TraceOutcome::Dropped;
            return result;
        }
        result.outcome = TraceOutcome::Captured;
        for to in &self.exporters {
            let error = exporter.export(to, &result.spans).err();
            result.exports.push(ExportOutcome { target: to.target().to_owned(), error });
        }
        result
    }
}

fn exporter(path: &str, value: &Json) -> Result<ExporterConfig, ConfigError> {
    let mut members = Members::new(path, value)?;
    let exporter = match members.need_text("type")? {
        "file" => ExporterConfig::File { path: members.need_long("path")?.to_owned() },
        "otlp_http" => {
            let endpoint = members.need_long("endpoint")?.to_owned();
            if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
                return Err(members.error("endpoint", "is no URL that begins with http:// or https://"));
            }
            let remedy = format!("is no object of at most {HEADERS_MAX} texts");
            let headers = match members.get("headers") {
                None => Some(Vec::new()),
                Some(Json::Object(headers)) if headers.len() <= HEADERS_MAX => {
                    let header =
                        |(name, value): (&String, &Json)| Some((name.clone(), value.as_str()?.to_owned()));
                    headers.iter().map(header).collect()
                }
                Some(_) => None,
            };
            let headers = headers.ok_or_else(|| members.error("headers", remedy))?;
            ExporterConfig::OtlpHttp { endpoint, headers }
        }
        _ => return Err(members.error("type", "is not known; exporters are file, otlp_http")),
    };
    members.end()?;
    Ok(exporter)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{show, spans};

    /// Notes what it was asked to export, and fails for one target.
    #[derive(Default)]
    struct Notes(Vec<String>);

    impl TraceExporter for Notes {
        fn export(&mut self, to: &ExporterConfig, spans: &Records) -> Result<(), String> {
            self.0.push(format!("{} {}", to.target(), show(spans).join("; ")));
            if to.target().contains("down") { Err("connection refused".into()) } else { Ok(()) }
        }
    }

    fn trace() -> Records {
        spans(&[r#"1 2 0 api GET server ok 0 5 password="p""#])
    }

    #[test]
    fn a_trace_is_sampled_then_processed_then_exported() {
        let manager = TraceManager::from_config(&json!({
            "samplers": [{"type": "rate", "rate": 1}],
            "processors": [
                {"type": "set", "field": "step", "value": "one"},
                {"type": "rename", "from": "step", "to": "stage"},
                {"type": "redact", "replacement": "X"}
            ],
            "exporters": [
                {"type": "file", "path": "traces.jsonl"},
                {"type": "otlp_http", "endpoint": "http://down/v1/traces", "headers": {"x": "y"}}
            ]
        }));
        let mut notes = Notes::default();
        let result = manager.expect("a manager").capture_trace(trace(), TraceOptions::default(), &mut notes);
        let span = "start=0 duration=5000000 trace_id=00000000000000000000000000000001 span_id=0000000000000002 \
                    name=\"GET\" kind=\"server\" status_code=\"ok\" password=\"X\" stage=\"one\" | service.name=\"api\"";
        assert_eq!(notes.0, [format!("traces.jsonl {span}"), format!("http://down/v1/traces {span}")]);
        assert_eq!((result.outcome, result.spans_in, result.spans_sampled), (TraceOutcome::Captured, 1, 1));
        assert_eq!(show(&result.spans), [span]);
        let errors: Vec<_> = result.exports.iter().map(|export| export.error.as_deref()).collect();
        assert_eq!(errors, [None, Some("connection refused")]);
    }

    #[test]
    fn a_trace_that_is_not_sampled_is_neither_processed_nor_exported() {
        let manager = TraceManager::from_config(&json!({
            "samplers": [{"type": "rate", "rate": 0}],
            "processors": [{"type": "set", "field": "seen", "value": true}],
            "exporters": [{"type": "file", "path": "f"}]
        }));
        let manager = manager.expect("a manager");
        let mut notes = Notes::default();
        let result = manager.capture_trace(trace(), TraceOptions::default(), &mut notes);
        assert_eq!((result.outcome, result.spans_in, result.spans_sampled), (TraceOutcome::NotSampled, 1, 0));
        assert_eq!((result.counts, result.exports, notes.0.len()), (Counts::default(), vec![], 0));
        let forced = manager.capture_trace(trace(), TraceOptions { sampled: Some(true) }, &mut notes);
        assert_eq!((forced.outcome, notes.0.len()), (TraceOutcome::Captured, 1));
    }

    #[test]
    fn a_trace_that_processors_drop_is_not_exported() {
        let manager = TraceManager::from_config(&json!({
            "processors": [{"type": "drop", "if": {"field": "service", "value": "api"}}],
            "exporters": [{"type": "file", "path": "f"}]
        }));
        let mut notes = Notes::default();
        let result = manager.expect("a manager").capture_trace(trace(), TraceOptions::default(), &mut notes);
        assert_eq!((result.outcome, result.counts.dropped(), notes.0.len()), (TraceOutcome::Dropped, 1, 0));
    }

    #[test]
    fn complaints_name_path_value_and_remedy() {
        for (config, path, remedy) in [
            (json!({"samplers":[{"type":"rate","rate":1.5}]}), "samplers[0].rate", "between 0"),
            (json!({"processors":[{"type":"fix"}]}), "processors[0].type", "types are parse_json"),
            (json!({"exporters":[{"type":"kafka"}]}), "exporters[0].type", "file, otlp_http"),
            (json!({"exporters":[{"type":"file"}]}), "exporters[0].path", "is missing"),
            (
                json!({"exporters":[{"type":"otlp_http","endpoint":"h:1"}]}),
                "exporters[0].endpoint",
                "http://",
            ),
            (json!({"sampler":[]}), "", "is not known here"),
        ] {
            let error = TraceManager::from_config(&config).expect_err("a complaint");
            assert!(error.path == path && error.remedy.contains(remedy), "{error}");
        }
    }
}
