//! Data points to series: one for a number or an exponential histogram, several for a histogram or summary.

use model::{LabelSpan, Labels, Point, Reason, Refusal, STALE_NAN};

use super::exponential;
use super::point::{ExemplarIn, Kind, PointIn};
use super::translate::{Family, Translator};
use crate::rows;

/// An exemplar whose labels are made.
struct Exemplar {
    t_ms: i64,
    value: f64,
    labels: Labels,
}

impl Translator<'_> {
    /// Takes one data point: its series, or its refusal.
    pub(super) fn point(&mut self, family: &Family, point: &mut PointIn) {
        let result = self.try_point(family, point);
        if let Err((field, reason, message)) = result {
            self.refuse(field, reason, message);
        }
        self.index += 1;
    }

    /// Counts a data point that could not be read.
    pub(super) fn bad_point(&mut self, field: &str, message: String) {
        self.refuse(field, Reason::Malformed, message);
        self.index += 1;
    }

    fn try_point(
        &mut self,
        family: &Family,
        point: &mut PointIn,
    ) -> Result<(), (&'static str, Reason, String)> {
        if let Some(fault) = &family.fault {
            return Err(fault.clone());
        }
        let series = 3 + point.bounds.len().max(point.quantiles.len());
        self.begin_point(&mut point.attributes, series)
            .map_err(|text| ("attributes", Reason::TooManyLabels, text))?;
        let first = self.decoded.batch.series.len() as u32;
        match family.kind {
            Kind::Gauge | Kind::Sum { .. } => self.number_point(family, point)?,
            Kind::Histogram(_) => self.histogram_point(family, point)?,
            Kind::Exponential(_) => self.exponential_point(family, point)?,
            Kind::Summary => self.summary_point(family, point),
        }
        if !point.is_stale() {
            self.mark(first, family.kind);
        }
        Ok(())
    }

    fn number_point(
        &mut self,
        family: &Family,
        point: &PointIn,
    ) -> Result<(), (&'static str, Reason, String)> {
        let value = match point.value {
            _ if point.is_stale() => STALE_NAN,
            Some(value) => value,
            None => {
                let text = "the point has no value and no flag that says so; set as_double or as_int".into();
                return Err(("value", Reason::InvalidValue, text));
            }
        };
        let t_ms = self.point_ms(point.time_ns);
        let start_ms = if family.kind == Kind::Gauge { 0 } else { start_ms(point) };
        let row = self.begin_row(family.name, None);
        rows::push_point(&mut self.decoded.batch, Point { t_ms, value }, start_ms);
        for exemplar in self.exemplars(point, t_ms) {
            self.push_exemplar(exemplar);
        }
        rows::end(&mut self.decoded.batch, row);
        Ok(())
    }

    fn exponential_point(
        &mut self,
        family: &Family,
        point: &PointIn,
    ) -> Result<(), (&'static str, Reason, String)> {
        let histogram = exponential::native(point).map_err(|(reason, text)| ("buckets", reason, text))?;
        let t_ms = self.point_ms(point.time_ns);
        let row = self.begin_row(family.name, None);
        rows::push_histogram(&mut self.decoded.batch, t_ms, histogram, start_ms(point));
        for exemplar in self.exemplars(point, t_ms) {
            self.push_exemplar(exemplar);
        }
        rows::end(&mut self.decoded.batch, row);
        Ok(())
    }

    fn histogram_point(
        &mut self,
        family: &Family,
        point: &PointIn,
    ) -> Result<(), (&'static str, Reason, String)> {
        let (counts, bounds) = (point.bucket_counts.len(), point.bounds.len());
        if counts != 0 && counts != bounds + 1 {
            let text =
                format!("{counts} bucket counts do not fit {bounds} bounds; send one more than bounds");
            return Err(("bucket_counts", Reason::InvalidHistogram, text));
        }
        if point.bounds.windows(2).any(|two| two[0] >= two[1]) || point.bounds.iter().any(|b| b.is_nan()) {
            let text = "bounds must be ascending numbers".into();
            return Err(("explicit_bounds", Reason::InvalidHistogram, text));
        }
        let t_ms = self.point_ms(point.time_ns);
        let start_ms = start_ms(point);
        let value = |value: f64| Point { t_ms, value: if point.is_stale() { STALE_NAN } else { value } };
        if let Some(sum) = point.sum {
            self.emit(family.sum, None, value(sum), start_ms);
        }
        self.emit(family.count, None, value(point.count as f64), start_ms);
        let mut exemplars = self.exemplars(point, t_ms);
        exemplars.sort_by(|a, b| a.value.total_cmp(&b.value));
        let mut exemplars = exemplars.into_iter().peekable();
        let mut cumulative = 0u64;
        for (bound, count) in point.bounds.iter().zip(&point.bucket_counts) {
            // A sender that counts an infinite bound too would make two buckets of one name.
            if *bound == f64::INFINITY {
                break;
            }
            cumulative = cumulative.saturating_add(*count);
            let row = self.begin_bucket(family, *bound);
            rows::push_point(&mut self.decoded.batch, value(cumulative as f64), start_ms);
            while let Some(exemplar) = exemplars.next_if(|e| e.value <= *bound) {
                self.push_exemplar(exemplar);
            }
            rows::end(&mut self.decoded.batch, row);
        }
        let row = self.begin_bucket(family, f64::INFINITY);
        rows::push_point(&mut self.decoded.batch, value(point.count as f64), start_ms);
        for exemplar in exemplars {
            self.push_exemplar(exemplar);
        }
        rows::end(&mut self.decoded.batch, row);
        Ok(())
    }

    fn begin_bucket(&mut self, family: &Family, bound: f64) -> model::SeriesRow {
        let le = LabelSpan { name: self.known.le, value: self.number(bound) };
        self.begin_row(family.bucket, Some(le))
    }

    fn summary_point(&mut self, family: &Family, point: &PointIn) {
        let t_ms = self.point_ms(point.time_ns);
        let start_ms = start_ms(point);
        let value = |value: f64| Point { t_ms, value: if point.is_stale() { STALE_NAN } else { value } };
        self.emit(family.sum, None, value(point.sum.unwrap_or(0.0)), start_ms);
        self.emit(family.count, None, value(point.count as f64), start_ms);
        for (quantile, at) in &point.quantiles {
            let label = LabelSpan { name: self.known.quantile, value: self.number(*quantile) };
            self.emit(family.name, Some(label), value(*at), 0);
        }
    }

    fn push_exemplar(&mut self, exemplar: Exemplar) {
        let Exemplar { t_ms, value, labels } = exemplar;
        rows::push_exemplar(&mut self.decoded.batch, t_ms, value, labels);
    }

    /// The exemplars of a point. One that is too long loses its attributes and keeps its ids.
    fn exemplars(&mut self, point: &PointIn, point_ms: i64) -> Vec<Exemplar> {
        let mut made = Vec::with_capacity(point.exemplars.len());
        for exemplar in &point.exemplars {
            match self.exemplar_labels(exemplar) {
                Ok(labels) => {
                    let t_ms = match exemplar.time_ns {
                        0 => point_ms,
                        ns => (ns / 1_000_000) as i64,
                    };
                    made.push(Exemplar { t_ms, value: exemplar.value, labels });
                }
                Err(message) => {
                    let (field, reason) = ("exemplars".into(), Reason::InvalidLabels);
                    self.decoded.refusals.push(Refusal {
                        index: self.index,
                        field,
                        reason,
                        message,
                        items: 0,
                    });
                }
            }
        }
        made
    }

    fn exemplar_labels(&mut self, exemplar: &ExemplarIn) -> Result<Labels, String> {
        let ids = [
            (b"trace_id".as_slice(), exemplar.trace_id.as_bytes()),
            (b"span_id".as_slice(), exemplar.span_id.as_bytes()),
        ];
        let ids = ids.into_iter().filter(|(_, id)| !id.is_empty());
        let texts = &self.texts;
        let attributes = exemplar.attributes.iter().map(|a| (texts.of(a.key), texts.of(a.value)));
        match rows::exemplar_labels(ids.clone().chain(attributes), &mut self.budget) {
            Err(_) if !exemplar.trace_id.is_empty() => rows::exemplar_labels(ids, &mut self.budget),
            result => result,
        }
    }
}

/// Milliseconds of a point's start; 0 when none is stated.
fn start_ms(point: &PointIn) -> i64 {
    (point.start_ns / 1_000_000) as i64
}
