//! Matchers to rows. Each distinct value is tested once per matcher; rows are then filtered by code.

use std::collections::BTreeSet;

use model::{MatchOp, Matcher, TimeRange};

use super::{LabelColumn, Table};

/// What one matcher says of a table.
enum Verdict {
    /// Every row passes.
    All,
    /// No row passes.
    None,
    /// Rows of this column whose code is accepted.
    Codes(usize, Vec<bool>),
    /// Rows of a sorted column with this code.
    Run(usize, u32),
    /// Rows have to be looked at one by one, because the label has no column.
    Rest,
}

impl Table {
    /// Rows that all matchers accept and that have samples or exemplars in the range, ascending.
    pub(crate) fn select(&self, matchers: &[Matcher], range: TimeRange) -> Vec<u32> {
        let mut rows: Option<Vec<u32>> = None;
        let mut verdicts: Vec<(Verdict, &Matcher)> = Vec::with_capacity(matchers.len());
        for matcher in matchers {
            match self.verdict(matcher) {
                Verdict::All => {}
                Verdict::None => return Vec::new(),
                verdict => verdicts.push((verdict, matcher)),
            }
        }
        // A run of rows first: the others then look at few rows.
        verdicts.sort_by_key(|(verdict, _)| match verdict {
            Verdict::Run(..) => 0,
            Verdict::Codes(..) => 1,
            _ => 2,
        });
        for (verdict, matcher) in verdicts {
            let before = rows.take();
            rows = Some(match verdict {
                Verdict::All | Verdict::None => unreachable!("handled above"),
                Verdict::Run(column, code) => {
                    let run = self.run(&self.columns[column], code);
                    match before {
                        None => run.collect(),
                        Some(rows) => rows.into_iter().filter(|row| run.contains(row)).collect(),
                    }
                }
                Verdict::Codes(column, accepted) => {
                    let codes = &self.columns[column].codes;
                    match before {
                        None => codes.filter_all(self.rows, &accepted),
                        Some(rows) => {
                            rows.into_iter().filter(|&row| accepted[codes.get(row) as usize]).collect()
                        }
                    }
                }
                Verdict::Rest => {
                    let all = || (0..self.rows).collect();
                    let passes = |row: &u32| {
                        let value = self.rest_of(*row).and_then(|labels| labels.get(&matcher.name));
                        matcher.matches(value.unwrap_or(""))
                    };
                    before.unwrap_or_else(all).into_iter().filter(passes).collect()
                }
            });
        }
        let mut rows = rows.unwrap_or_else(|| (0..self.rows).collect());
        rows.retain(|&row| {
            let row = row as usize;
            self.min_t_ms[row] < range.end_ms && range.start_ms <= self.max_t_ms[row]
        });
        rows
    }

    fn verdict(&self, matcher: &Matcher) -> Verdict {
        let Some(at) = self.column(&matcher.name) else {
            return match (self.rest.is_empty(), matcher.matches_empty()) {
                (true, true) => Verdict::All,
                (true, false) => Verdict::None,
                (false, _) => Verdict::Rest,
            };
        };
        let column = &self.columns[at];
        if matcher.op == MatchOp::Equal && !matcher.value.is_empty() {
            let Some(number) = column.values.find_sorted(&matcher.value) else { return Verdict::None };
            let code = number as u32 + 1;
            if column.is_sorted {
                return Verdict::Run(at, code);
            }
            let mut accepted = vec![false; column.values.len() + 1];
            accepted[code as usize] = true;
            return Verdict::Codes(at, accepted);
        }
        let mut accepted = Vec::with_capacity(column.values.len() + 1);
        accepted.push(matcher.matches_empty());
        accepted.extend(column.values.iter().map(|value| matcher.matches(value)));
        match accepted.iter().filter(|a| **a).count() {
            0 => Verdict::None,
            hits if hits == accepted.len() => Verdict::All,
            _ => Verdict::Codes(at, accepted),
        }
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.columns.binary_search_by(|column| column.name.as_str().cmp(name)).ok()
    }

    fn run(&self, column: &LabelColumn, code: u32) -> std::ops::Range<u32> {
        let first_with = |least: u32| {
            let (mut low, mut high) = (0, self.rows);
            while low < high {
                let middle = low + (high - low) / 2;
                if column.codes.get(middle) < least { low = middle + 1 } else { high = middle }
            }
            low
        };
        first_with(code)..first_with(code + 1)
    }

    /// Label names of the rows, or of the whole table, sorted.
    pub(crate) fn label_names(&self, rows: Option<&[u32]>) -> BTreeSet<String> {
        let used = |column: &&LabelColumn| match rows {
            None => true,
            Some(rows) => column.codes.is_in_any(rows),
        };
        let mut names: BTreeSet<String> = self.columns.iter().filter(used).map(|c| c.name.clone()).collect();
        for (_, labels) in self.rest.iter().filter(|(row, _)| is_among(rows, *row)) {
            names.extend(labels.iter().map(|(name, _)| name.to_owned()));
        }
        names
    }

    /// Values of a label in the rows, or in the whole table, sorted.
    pub(crate) fn label_values(&self, name: &str, rows: Option<&[u32]>) -> BTreeSet<String> {
        let Some(at) = self.column(name) else {
            let rest = self.rest.iter().filter(|(row, _)| is_among(rows, *row));
            return rest.filter_map(|(_, labels)| labels.get(name)).map(str::to_owned).collect();
        };
        let column = &self.columns[at];
        let Some(rows) = rows else { return column.values.iter().map(str::to_owned).collect() };
        let mut used = vec![false; column.values.len() + 1];
        for &row in rows {
            used[column.codes.get(row) as usize] = true;
        }
        let used = used.iter().enumerate().skip(1).filter(|(_, used)| **used);
        used.map(|(code, _)| column.values.get(code - 1).to_owned()).collect()
    }
}

fn is_among(rows: Option<&[u32]>, row: u32) -> bool {
    rows.is_none_or(|rows| rows.binary_search(&row).is_ok())
}
