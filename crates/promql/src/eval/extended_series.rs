//! The samples of an `anchored` or `smoothed` range vector as the result of a query: those inside, and one on
//! each edge.

use model::{Point, SampleColumns};

use super::annotations::Note;
use super::column::{Grid, metric_name};
use super::context::Frame;
use super::error::QueryError;
use super::extended::with_edges;
use super::plan::{RangePlan, Selector};
use super::value::MatrixSeries;
use super::window::{Windows, drop_stale};
use crate::syntax::ast::Pos;

impl Frame<'_> {
    pub(crate) fn extended_series(
        &self,
        range: &RangePlan,
        selector: &Selector,
        grid: &Grid,
    ) -> Result<Vec<MatrixSeries>, QueryError> {
        let time = self.range_of(range, selector, grid);
        let ahead = if selector.smoothed { self.lookback_ms } else { 0 };
        let end = selector.when.resolve(grid.start_ms);
        let edges = (end.saturating_sub(range.range_ms), end);
        let mut all = Vec::new();
        let mut samples = SampleColumns::default();
        let mut windows = Windows::default();
        for handle in self.select(selector, time, grid.step_ms)? {
            self.check()?;
            self.read(handle.as_ref(), time, &mut samples)?;
            drop_stale(&mut samples);
            let back = range.range_ms.saturating_add(self.lookback_ms);
            windows.slide(&samples, grid, selector.when, back, ahead);
            let window = windows.at(&samples, 0);
            let name = metric_name(handle.labels());
            let note = |note: Note<'_>| self.note(Pos::default(), note);
            let (floats, histograms) = with_edges(window, edges, selector.smoothed, &note, name);
            if floats.is_empty() && histograms.is_empty() {
                continue;
            }
            self.hold((floats.len() + histograms.len()) as u64)?;
            let floats = floats.into_iter().map(|(t_ms, value)| Point { t_ms, value }).collect();
            all.push(MatrixSeries { labels: handle.labels().clone(), floats, histograms });
        }
        Ok(all)
    }
}
