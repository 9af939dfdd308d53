//! Messages that are alike, by how many there are.

use std::cmp::Reverse;

use datafusion::arrow::array::Array;
use datafusion::arrow::array::cast::AsArray;
use datafusion::arrow::array::types::Int64Type;
use datafusion::arrow::buffer::BooleanBuffer;
use model::record::{check, event, log, span};
use model::{Field, Signal};
use rayon::prelude::*;
use store::rows::{Column, Cost, Slice, ValueKind};

use super::histogram::Grid;
use super::template::Miner;
use super::view::level_name;
use super::{Ask, RowReader, keep};
use crate::error::QueryFault;

/// Messages that are looked at; of more, every so manieth.
const SAMPLE_MAX: u64 = 200_000;
/// Buckets of time.
const BUCKETS: usize = 30;
/// Messages that are shown of a pattern, and how much of each, bytes.
const EXAMPLES: usize = 3;
const EXAMPLE_BYTES_MAX: usize = 1000;
/// Slices whose messages are in memory at once.
const WAVE: usize = 4;

/// Messages that are alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pattern {
    /// What they have in common; `<*>` stands for what differs.
    pub template: String,
    /// How many there are; an estimate where only a sample was looked at.
    pub count: u64,
    /// Their share of all, 0 to 1.
    pub share: f64,
    /// The level that most of them have.
    pub level: Option<&'static str>,
    /// Up to three different ones.
    pub examples: Vec<String>,
    /// Time of the first one that was looked at, nanoseconds.
    pub first_ns: i64,
    /// Time of the last one that was looked at, nanoseconds.
    pub last_ns: i64,
    /// How many there are in each of thirty parts of the range (fewer when it is shorter than 30 ms).
    pub counts: Vec<u64>,
}

/// The most frequent patterns.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    /// Most first.
    pub patterns: Vec<Pattern>,
    /// All matching rows.
    pub total: u64,
    /// Whether only a sample was looked at.
    pub sampled: bool,
    /// What was looked at.
    pub cost: Cost,
}

/// Slices with their matching rows, how many those are, and what looking took.
type Selected = (Vec<(Slice, BooleanBuffer)>, u64, Cost);

/// A pattern while messages come in.
#[derive(Default)]
struct Tally {
    count: u64,
    /// By level; the last is none.
    levels: [u64; 7],
    examples: Vec<String>,
    first_ns: i64,
    last_ns: i64,
    counts: Vec<u64>,
}

/// Messages of a slice.
struct Messages {
    columns: Vec<datafusion::arrow::array::ArrayRef>,
    cost: Cost,
}

impl RowReader {
    /// The most frequent patterns of messages: of the bodies of logs, of the names of spans and events.
    pub fn patterns(&self, ask: &Ask, limit: usize) -> Result<Patterns, QueryFault> {
        let (selected, total, mut cost) = self.select_all(ask)?;
        let every = total.div_ceil(SAMPLE_MAX).max(1);
        let grid = Grid::new(ask.start_ns, ask.end_ns, BUCKETS);
        let mut miner = Miner::default();
        let mut tallies: Vec<Tally> = Vec::new();
        let mut before = 0;
        let sampled: Vec<(Slice, BooleanBuffer)> = selected
            .into_iter()
            .map(|(slice, rows)| {
                let from = before;
                before += rows.count_set_bits() as u64;
                let sample =
                    if every > 1 { keep(&rows, |i| (from + i as u64).is_multiple_of(every)) } else { rows };
                (slice, sample)
            })
            .collect();
        for wave in sampled.chunks(WAVE) {
            let read: Vec<Result<Messages, QueryFault>> =
                wave.par_iter().map(|(slice, rows)| self.messages(slice, rows)).collect();
            for messages in read {
                let messages = messages?;
                cost += messages.cost;
                messages.count(&mut miner, &mut tallies, &grid);
            }
        }
        let looked_at: u64 = tallies.iter().map(|tally| tally.count).sum();
        let mut patterns: Vec<Pattern> = tallies
            .into_iter()
            .enumerate()
            .map(|(i, tally)| tally.pattern(miner.text(i), every, looked_at))
            .collect();
        patterns.sort_by(|a, b| (Reverse(a.count), &a.template).cmp(&(Reverse(b.count), &b.template)));
        patterns.truncate(limit);
        Ok(Patterns { patterns, total, sampled: every > 1, cost })
    }

    /// All slices that have matching rows, with those rows.
    fn select_all(&self, ask: &Ask) -> Result<Selected, QueryFault> {
        let each = |slice: &Slice, rows: &BooleanBuffer, _: &mut Cost| Ok((slice.clone(), rows.clone()));
        let (selected, cost) = self.over_slices(ask, Vec::new, each, Vec::push)?;
        let total =
            selected.iter().map(|(_, rows): &(Slice, BooleanBuffer)| rows.count_set_bits() as u64).sum();
        Ok((selected, total, cost))
    }

    fn messages(&self, slice: &Slice, rows: &BooleanBuffer) -> Result<Messages, QueryFault> {
        self.control.check()?;
        let message = match self.signal() {
            Signal::Traces => span::NAME,
            Signal::Events => event::NAME,
            Signal::Checks => check::MESSAGE,
            _ => log::BODY,
        };
        let fixed = |position: usize, kind| Column::FieldAs(Field::Fixed(position as u8), kind);
        let mut wanted = vec![Column::Field(Field::Fixed(0)), fixed(message, ValueKind::Text)];
        if self.signal() == Signal::Logs {
            wanted.push(fixed(log::SEVERITY_NUMBER, ValueKind::Int));
        }
        let mut cost = Cost::default();
        let columns = slice.read(&wanted, rows, &mut cost)?;
        Ok(Messages { columns, cost })
    }
}

impl Messages {
    fn count(&self, miner: &mut Miner, tallies: &mut Vec<Tally>, grid: &Grid) {
        let [times, messages, rest @ ..] = self.columns.as_slice() else { return };
        let (Some(times), Some(messages)) =
            (times.as_primitive_opt::<Int64Type>(), messages.as_string_view_opt())
        else {
            return;
        };
        let levels = rest.first().and_then(|levels| levels.as_primitive_opt::<Int64Type>());
        for row in 0..messages.len() {
            let message = if messages.is_valid(row) { messages.value(row) } else { "" };
            let template = miner.add(message);
            while tallies.len() <= template {
                tallies.push(Tally { counts: vec![0; grid.buckets], ..Tally::default() });
            }
            let number = levels.filter(|levels| levels.is_valid(row)).map_or(0, |levels| levels.value(row));
            tallies[template].add(message, times.value(row), number, grid);
        }
    }
}

impl Tally {
    fn add(&mut self, message: &str, time_ns: i64, severity: i64, grid: &Grid) {
        if self.count == 0 {
            (self.first_ns, self.last_ns) = (time_ns, time_ns);
        }
        self.count += 1;
        self.first_ns = self.first_ns.min(time_ns);
        self.last_ns = self.last_ns.max(time_ns);
        self.counts[grid.bucket(time_ns)] += 1;
        let level = if (1..=24).contains(&severity) { (severity - 1) / 4 } else { 6 };
        self.levels[level as usize] += 1;
        let shown = message.get(..message.floor_char_boundary(EXAMPLE_BYTES_MAX)).unwrap_or(message);
        if self.examples.len() < EXAMPLES && !self.examples.iter().any(|known| known == shown) {
            self.examples.push(shown.to_owned());
        }
    }

    fn pattern(self, template: String, every: u64, looked_at: u64) -> Pattern {
        // The most severe of the most frequent.
        let level = (0..self.levels.len()).max_by_key(|level| self.levels[*level]);
        Pattern {
            template,
            count: self.count * every,
            share: if looked_at > 0 { self.count as f64 / looked_at as f64 } else { 0.0 },
            level: level.filter(|level| *level < 6).and_then(|level| level_name(4 * level as i64 + 1)),
            examples: self.examples,
            first_ns: self.first_ns,
            last_ns: self.last_ns,
            counts: self.counts.into_iter().map(|count| count * every).collect(),
        }
    }
}
