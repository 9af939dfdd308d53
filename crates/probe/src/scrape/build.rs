//! From what a target answered to what is stored: labels of the target, metric relabelling, limits,
//! timestamps and staleness markers.

use std::sync::Arc;

use model::{
    Exemplar, FloatHistogram, Labels, LabelsBuilder, METRIC_NAME, MetricBatch, Point, STALE_NAN, SeriesRow,
};

use super::cache::{SeriesCache, SeriesId};
use super::config::{JobConfig, Limits, NameScheme, short};
use super::error::ScrapeError;
use super::{histogram, relabel};

/// The time that the parser gives a sample that carries none.
pub(crate) const UNSTAMPED: i64 = i64::MIN;

/// Largest text of a batch. Relabelling may blow labels up, and spans are 32 bits wide.
const TEXT_BYTES_MAX: usize = 1 << 30;

/// What one scrape brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Samples as sent.
    pub(crate) scraped: u64,
    /// Samples after relabelling.
    pub(crate) kept: u64,
}

/// What building depends on beside the answer.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) job: &'a JobConfig,
    /// Labels of the target.
    pub(crate) target: &'a Labels,
    /// When it was scraped, milliseconds.
    pub(crate) t_ms: i64,
}

/// Appends every series of an answer to `out` and counts. On an error `out` is left as it was, and the
/// counts tell how much was read.
pub(crate) fn build(
    context: &Context<'_>,
    parsed: &MetricBatch,
    cache: &mut SeriesCache,
    out: &mut MetricBatch,
) -> (Counts, Result<(), ScrapeError>) {
    let before = Lengths::of(out);
    let mut builder = Builder { context, parsed, cache, out, counts: Counts::default(), key: Vec::new() };
    let result = builder.run();
    let counts = builder.counts;
    if result.is_err() {
        before.restore(out);
    }
    (counts, result)
}

struct Builder<'a> {
    context: &'a Context<'a>,
    parsed: &'a MetricBatch,
    cache: &'a mut SeriesCache,
    out: &'a mut MetricBatch,
    counts: Counts,
    key: Vec<u8>,
}

impl Builder<'_> {
    fn run(&mut self) -> Result<(), ScrapeError> {
        let limit = self.context.job.limits.samples;
        for row in &self.parsed.series {
            let samples = (row.points.len() + row.histograms.len()) as u64;
            self.counts.scraped += samples;
            let Some(id) = self.series(row)? else { continue };
            self.counts.kept += samples;
            // Beyond the limit we only go on counting.
            if limit == 0 || self.counts.kept <= limit {
                self.samples(row, id)?;
            }
            if self.out.text.len() > TEXT_BYTES_MAX {
                let message = "labels after relabelling are too large; send or add fewer of them";
                return Err(ScrapeError::Labels(message.into()));
            }
        }
        if limit != 0 && self.counts.kept > limit {
            return Err(ScrapeError::SampleLimit { samples: self.counts.kept, limit });
        }
        Ok(())
    }

    /// The final series of a row, or `None` where relabelling drops it.
    fn series(&mut self, row: &SeriesRow) -> Result<Option<SeriesId>, ScrapeError> {
        let spans = &self.parsed.labels[row.labels.start as usize..row.labels.end as usize];
        self.key.clear();
        for span in spans {
            for text in [span.name.of(&self.parsed.text), span.value.of(&self.parsed.text)] {
                self.key.extend_from_slice(text);
                // No UTF-8 text holds this byte.
                self.key.push(0xff);
            }
        }
        if let Some(known) = self.cache.get(&self.key) {
            return Ok(known);
        }
        let text = |bytes| {
            std::str::from_utf8(bytes).map_err(|_| {
                let shown = String::from_utf8_lossy(bytes);
                ScrapeError::Labels(format!("{:?} is not UTF-8", short(&shown)))
            })
        };
        let mut raw = Vec::with_capacity(spans.len());
        for span in spans {
            raw.push((text(span.name.of(&self.parsed.text))?, text(span.value.of(&self.parsed.text))?));
        }
        let labels = final_labels(self.context, &raw)?;
        Ok(self.cache.insert(&self.key, labels))
    }

    fn samples(&mut self, row: &SeriesRow, id: SeriesId) -> Result<(), ScrapeError> {
        let job = self.context.job;
        let (parsed, t_ms) = (self.parsed, self.context.t_ms);
        let points = row.points.start as usize..row.points.end as usize;
        let histograms = row.histograms.start as usize..row.histograms.end as usize;
        let times = parsed.points[points.clone()].iter().map(|point| point.t_ms);
        let stamped = job.honor_timestamps
            && times
                .chain(parsed.histograms[histograms.clone()].iter().map(|(t, _)| *t))
                .all(|t| t != UNSTAMPED);
        let first = self.cache.see(id, !stamped || job.track_timestamps_staleness);
        // The same series twice at one instant: the first stays, as upstream.
        if !first && !stamped {
            return Ok(());
        }
        let time = |t: i64| if t == UNSTAMPED || !job.honor_timestamps { t_ms } else { t };
        let begun = self.out.begin_series(self.cache.labels(id).iter());
        for i in points {
            let Point { t_ms, value } = parsed.points[i];
            let start = parsed.starts_ms.get(i).copied().unwrap_or_default();
            push_start(&mut self.out.starts_ms, self.out.points.len(), start);
            self.out.points.push(Point { t_ms: time(t_ms), value });
        }
        let schema_max = histogram::schema_of_factor(job.histograms.min_bucket_factor);
        for i in histograms {
            let (t_ms, value) = &parsed.histograms[i];
            let value = limited(value, &job.limits, schema_max)?;
            let start = parsed.histogram_starts_ms.get(i).copied().unwrap_or_default();
            push_start(&mut self.out.histogram_starts_ms, self.out.histograms.len(), start);
            self.out.histograms.push((time(*t_ms), value));
        }
        for exemplar in &parsed.exemplars[row.exemplars.start as usize..row.exemplars.end as usize] {
            let t_ms = if exemplar.t_ms == UNSTAMPED { t_ms } else { exemplar.t_ms };
            self.out.exemplars.push(Exemplar { t_ms, ..exemplar.clone() });
        }
        self.out.end_series(begun);
        Ok(())
    }
}

/// The start column stays empty until the first known start.
fn push_start(starts: &mut Vec<i64>, samples: usize, start: i64) {
    if start != 0 || !starts.is_empty() {
        starts.resize(samples, 0);
        starts.push(start);
    }
}

fn limited(
    value: &Arc<FloatHistogram>,
    limits: &Limits,
    schema_max: i8,
) -> Result<Arc<FloatHistogram>, ScrapeError> {
    if histogram::fits(value, limits.histogram_buckets, schema_max) {
        return Ok(Arc::clone(value));
    }
    histogram::limit(FloatHistogram::clone(value), limits.histogram_buckets, schema_max).map(Arc::new)
}

/// Joins a series' labels with those of its target and applies the rules; `None` where one drops it.
fn final_labels(context: &Context<'_>, raw: &[(&str, &str)]) -> Result<Option<Labels>, ScrapeError> {
    let mut labels = LabelsBuilder::new();
    for (i, (name, value)) in raw.iter().enumerate() {
        if raw[..i].iter().any(|(earlier, _)| earlier == name) {
            return Err(ScrapeError::Labels(format!("label {:?} is given more than once", short(name))));
        }
        labels.set(name, value);
    }
    let job = context.job;
    join_target(&mut labels, context.target, job.honor_labels);
    if !relabel::apply(&mut labels, &job.metric_relabel, job.names) {
        return Ok(None);
    }
    let labels = labels.build();
    if labels.is_empty() {
        return Ok(None);
    }
    check_labels(&labels, &job.limits, job.names)?;
    Ok(Some(labels))
}

/// The target's labels win, and what they displace is kept as `exported_<name>`; or the other way round.
fn join_target(labels: &mut LabelsBuilder, target: &Labels, honor: bool) {
    if honor {
        for (name, value) in target.iter() {
            // An empty value of the target's own is an answer too: it removes the label.
            if labels.get(name).is_none() {
                labels.set(name, value);
            }
        }
        return;
    }
    let mut displaced: Vec<(String, String)> = Vec::new();
    for (name, value) in target.iter() {
        if let Some(own) = labels.get(name).filter(|own| !own.is_empty()) {
            displaced.push((name.into(), own.into()));
        }
        labels.set(name, value);
    }
    displaced.sort_by_key(|(name, _)| name.len());
    for (name, value) in displaced {
        let mut exported = format!("exported_{name}");
        while labels.get(&exported).is_some_and(|taken| !taken.is_empty()) {
            exported.insert_str(0, "exported_");
        }
        labels.set(&exported, &value);
    }
}

fn check_labels(labels: &Labels, limits: &Limits, names: NameScheme) -> Result<(), ScrapeError> {
    let metric = labels.metric_name().unwrap_or_default();
    if metric.is_empty() {
        let message = format!("{:?} has no metric name (__name__)", short(&labels.to_string()));
        return Err(ScrapeError::Labels(message));
    }
    let metric = short(metric);
    if !names.is_metric(&metric) {
        return Err(ScrapeError::Labels(format!("{metric:?} is no valid metric name")));
    }
    let count = labels.iter().count() as u64;
    if limits.labels != 0 && count > limits.labels {
        return Err(ScrapeError::Labels(format!(
            "label_limit exceeded (metric: {metric:?}, number of labels: {count}, limit: {})",
            limits.labels
        )));
    }
    for (name, value) in labels.iter() {
        if name != METRIC_NAME && !names.is_label(name) {
            return Err(ScrapeError::Labels(format!("{:?} is no valid label name", short(name))));
        }
        let checks = [
            ("label_name_length_limit", name.len() as u64, limits.label_name_bytes),
            ("label_value_length_limit", value.len() as u64, limits.label_value_bytes),
        ];
        for (key, bytes, limit) in checks {
            if limit != 0 && bytes > limit {
                let name = short(name);
                return Err(ScrapeError::Labels(format!(
                    "{key} exceeded (metric: {metric:?}, label: {name:?}, length: {bytes}, limit: {limit})"
                )));
            }
        }
    }
    Ok(())
}

/// Appends the marker that ends a series.
pub(crate) fn push_stale(out: &mut MetricBatch, labels: &Labels, t_ms: i64) {
    out.push_float(labels.iter(), Point { t_ms, value: STALE_NAN });
}

/// Where every column of a batch ended.
struct Lengths {
    text: usize,
    labels: usize,
    series: usize,
    points: usize,
    starts: usize,
    histograms: usize,
    histogram_starts: usize,
    exemplars: usize,
}

impl Lengths {
    fn of(batch: &MetricBatch) -> Self {
        Self {
            text: batch.text.len(),
            labels: batch.labels.len(),
            series: batch.series.len(),
            points: batch.points.len(),
            starts: batch.starts_ms.len(),
            histograms: batch.histograms.len(),
            histogram_starts: batch.histogram_starts_ms.len(),
            exemplars: batch.exemplars.len(),
        }
    }

    fn restore(&self, batch: &mut MetricBatch) {
        batch.text.truncate(self.text);
        batch.labels.truncate(self.labels);
        batch.series.truncate(self.series);
        batch.points.truncate(self.points);
        batch.starts_ms.truncate(self.starts);
        batch.histograms.truncate(self.histograms);
        batch.histogram_starts_ms.truncate(self.histogram_starts);
        batch.exemplars.truncate(self.exemplars);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scrape::config::ScrapeConfig;

    fn job(rest: &str) -> JobConfig {
        let text = format!("scrape_configs: [{{job_name: j, {rest}}}]");
        ScrapeConfig::parse(&text, Path::new("x.yml"), &|_| None).expect("valid").jobs.remove(0)
    }

    /// A batch from `name{a="b"} value [timestamp]` in the notation `name a=b ... | value | time`.
    fn parsed(lines: &[(&str, f64, Option<i64>)]) -> MetricBatch {
        let mut batch = MetricBatch::default();
        for (series, value, t) in lines {
            let mut words = series.split_whitespace();
            let name = [(METRIC_NAME, words.next().expect("a name"))];
            let pairs = words.map(|word| word.split_once('=').expect("name=value"));
            let name = name.into_iter().filter(|(_, n)| *n != "-");
            batch.push_float(name.chain(pairs), Point { t_ms: t.unwrap_or(UNSTAMPED), value: *value });
        }
        batch
    }

    fn lines(batch: &MetricBatch) -> Vec<String> {
        let text = |span: model::Span| std::str::from_utf8(span.of(&batch.text)).expect("UTF-8");
        let row = |row: &SeriesRow| {
            let spans = &batch.labels[row.labels.start as usize..row.labels.end as usize];
            let labels = Labels::from_pairs(spans.iter().map(|l| (text(l.name), text(l.value))));
            let points = &batch.points[row.points.start as usize..row.points.end as usize];
            let points: Vec<String> = points.iter().map(|p| format!("{}@{}", p.value, p.t_ms)).collect();
            format!("{} {}", labels.expect("unique"), points.join(" "))
        };
        batch.series.iter().map(row).collect()
    }

    fn target() -> Labels {
        Labels::from_pairs([("job", "j"), ("instance", "h:1")]).expect("unique")
    }

    fn run(
        job: &JobConfig,
        cache: &mut SeriesCache,
        input: &[(&str, f64, Option<i64>)],
    ) -> (Counts, Result<Vec<String>, ScrapeError>) {
        let target = target();
        let context = Context { job, target: &target, t_ms: 1000 };
        let mut out = MetricBatch::default();
        cache.begin();
        let (counts, result) = build(&context, &parsed(input), cache, &mut out);
        (counts, result.map(|()| lines(&out)))
    }

    fn check(rest: &str, input: &[(&str, f64, Option<i64>)], want: &[&str]) {
        let (_, got) = run(&job(rest), &mut SeriesCache::default(), input);
        assert_eq!(got.expect("no limit"), want, "{rest}");
    }

    #[test]
    fn the_targets_labels_win_unless_the_job_honors_the_others() {
        check("", &[("a", 1.0, None)], &["a{instance=\"h:1\", job=\"j\"} 1@1000"]);
        check(
            "",
            &[("a job=x exported_job=y", 1.0, None)],
            &["a{exported_exported_job=\"x\", exported_job=\"y\", instance=\"h:1\", job=\"j\"} 1@1000"],
        );
        check("honor_labels: true", &[("a job=x", 1.0, None)], &["a{instance=\"h:1\", job=\"x\"} 1@1000"]);
        check("honor_labels: true", &[("a job=", 1.0, None)], &["a{instance=\"h:1\"} 1@1000"]);
    }

    #[test]
    fn timestamps_of_the_target_are_kept_unless_told_otherwise() {
        check("", &[("a", 1.0, Some(5))], &["a{instance=\"h:1\", job=\"j\"} 1@5"]);
        check("honor_timestamps: false", &[("a", 1.0, Some(5))], &["a{instance=\"h:1\", job=\"j\"} 1@1000"]);
    }

    #[test]
    fn a_series_sent_twice_keeps_its_first_sample() {
        let twice = [("a", 1.0, None), ("a", 2.0, None), ("b", 1.0, Some(1)), ("b", 2.0, Some(2))];
        let end = "{instance=\"h:1\", job=\"j\"}";
        let want = [format!("a{end} 1@1000"), format!("b{end} 1@1"), format!("b{end} 2@2")];
        check("", &twice, &want.each_ref().map(String::as_str));
    }

    #[test]
    fn rules_rename_and_drop_series_and_samples_are_counted_before_and_after() {
        let job = job(
            "metric_relabel_configs: [{source_labels: [__name__], regex: 'b.*', action: drop}, {target_label: x, replacement: y}]",
        );
        let mut cache = SeriesCache::default();
        for _ in 0..2 {
            let (counts, got) =
                run(&job, &mut cache, &[("a", 1.0, None), ("b1", 1.0, None), ("b2", 1.0, None)]);
            assert_eq!(got.expect("no limit"), ["a{instance=\"h:1\", job=\"j\", x=\"y\"} 1@1000"]);
            assert_eq!(counts, Counts { scraped: 3, kept: 1 });
        }
    }

    #[test]
    fn a_limit_fails_the_scrape() {
        let two = [("a", 1.0, None), ("b long_name=long_value", 1.0, None)];
        let rows = [
            ("sample_limit: 1", "sample limit exceeded: 2 samples"),
            ("label_limit: 3", "label_limit exceeded (metric: \"b\", number of labels: 4, limit: 3)"),
            ("label_name_length_limit: 8", "label_name_length_limit exceeded"),
            ("label_value_length_limit: 9", "label_value_length_limit exceeded"),
        ];
        for (limit, part) in rows {
            let (counts, got) = run(&job(limit), &mut SeriesCache::default(), &two);
            let error = got.expect_err(limit).to_string();
            assert!(error.contains(part), "{error}");
            assert_eq!(counts.scraped, 2);
        }
        for limit in ["sample_limit: 2", "label_limit: 4", "label_name_length_limit: 9"] {
            assert!(run(&job(limit), &mut SeriesCache::default(), &two).1.is_ok(), "{limit}");
        }
    }

    #[test]
    fn series_without_a_valid_name_fail_the_scrape() {
        let legacy = "metric_name_validation_scheme: legacy";
        let rows = [
            ("", "- a=b", "no metric name"),
            ("", "x a=b a=c", "more than once"),
            (legacy, "x.y", "no valid metric name"),
            (legacy, "x a.b=c", "no valid label name"),
        ];
        for (rest, series, part) in rows {
            let (_, got) = run(&job(rest), &mut SeriesCache::default(), &[(series, 1.0, None)]);
            assert!(got.expect_err(series).to_string().contains(part));
        }
        assert!(run(&job(""), &mut SeriesCache::default(), &[("x.y a.b=c", 1.0, None)]).1.is_ok());
    }
}
