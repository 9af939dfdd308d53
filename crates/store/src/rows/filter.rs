//! A predicate made ready to be evaluated: regular expressions compiled, fields resolved, tests ordered by what
//! they cost, and the tokens prepared that block filters are asked for.

use std::sync::Arc;

use model::record::columns;
use model::{Field, Predicate, Signal};

use super::probe::{self, Probe};
use super::test::Tester;

/// A predicate that cannot be evaluated, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPredicate(pub(crate) String);

/// How deep a predicate may be nested.
const DEPTH_MAX: usize = 64;
/// Tests of a predicate at most.
const TESTS_MAX: usize = 4096;
/// Bytes of all compiled regular expressions of a predicate.
const REGEXES_BYTES_MAX: usize = 16 << 20;

/// What is left of what a predicate may take.
struct Budget {
    tests: usize,
    regex_bytes: usize,
}

/// A compiled predicate over a range of time.
#[derive(Debug)]
pub struct Filter {
    pub(crate) signal: Signal,
    /// The first time inside, nanoseconds.
    pub(crate) start_ns: i64,
    /// The first time that is not inside any more, nanoseconds; `i64::MAX` for no end.
    pub(crate) end_ns: i64,
    pub(crate) root: Node,
    pub(crate) probe: Probe,
}

/// A compiled part of a predicate. Parts of `All` and `Any` come cheapest first.
#[derive(Debug)]
pub(crate) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Test(Target, Box<Tester>),
}

/// What a test looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A fixed column by position.
    Fixed(usize),
    /// An attribute: the row's, the resource's, or the row's before the resource's.
    Attr { key: Arc<str>, record: bool, resource: bool },
}

impl Filter {
    /// Compiles a predicate for rows of a signal from `start_ns` until before `end_ns` (`i64::MAX`: no end).
    /// Refuses predicates that are nested too deeply or too large, regular expressions that do not compile, and
    /// fixed columns that the signal does not have.
    pub fn new(
        signal: Signal,
        predicate: &Predicate,
        start_ns: i64,
        end_ns: i64,
    ) -> Result<Self, InvalidPredicate> {
        let mut budget = Budget { tests: TESTS_MAX, regex_bytes: REGEXES_BYTES_MAX };
        let root = Node::new(signal, predicate, DEPTH_MAX, &mut budget)?;
        let probe = probe::of_node(signal, &root);
        Ok(Self { signal, start_ns, end_ns, root, probe })
    }

    /// True when a time may be inside the filter's range.
    pub(crate) fn has_time(&self, t_ns: i64) -> bool {
        self.start_ns <= t_ns && (t_ns < self.end_ns || self.end_ns == i64::MAX)
    }

    /// True when some time between two (both inclusive) is inside the filter's range.
    pub(crate) fn overlaps(&self, min_ns: i64, max_ns: i64) -> bool {
        self.start_ns <= max_ns && (min_ns < self.end_ns || self.end_ns == i64::MAX)
    }
}

impl Node {
    fn new(
        signal: Signal,
        predicate: &Predicate,
        depth: usize,
        budget: &mut Budget,
    ) -> Result<Self, InvalidPredicate> {
        let Some(depth) = depth.checked_sub(1) else {
            let detail = format!("the filter is nested more than {DEPTH_MAX} deep; write it flatter");
            return Err(InvalidPredicate(detail));
        };
        let mut parts = |parts: &[Predicate]| {
            let parts = parts.iter().map(|part| Self::new(signal, part, depth, budget));
            let mut parts = parts.collect::<Result<Vec<_>, _>>()?;
            parts.sort_by_key(Self::cost);
            Ok(parts)
        };
        match predicate {
            Predicate::All(all) => parts(all).map(Self::All),
            Predicate::Any(any) => parts(any).map(Self::Any),
            Predicate::Not(part) => Ok(Self::Not(Box::new(Self::new(signal, part, depth, budget)?))),
            Predicate::Test(field, test) => {
                let Some(left) = budget.tests.checked_sub(1) else {
                    let detail = format!("the filter has more than {TESTS_MAX} tests; ask for less at once");
                    return Err(InvalidPredicate(detail));
                };
                budget.tests = left;
                let tester = Tester::new(test, &mut budget.regex_bytes)?;
                Ok(Self::Test(Target::new(signal, field)?, Box::new(tester)))
            }
        }
    }

    /// What evaluating it costs, about, in units of comparing a number.
    fn cost(&self) -> u32 {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::cost).sum(),
            Self::Not(part) => part.cost(),
            Self::Test(target, tester) => target.cost() * tester.cost(),
        }
    }
}

impl Target {
    fn new(signal: Signal, field: &Field) -> Result<Self, InvalidPredicate> {
        let attr = |key: &Arc<str>, record, resource| Self::Attr { key: key.clone(), record, resource };
        match field {
            Field::Fixed(index) => {
                let index = usize::from(*index);
                if index >= columns(signal).len() {
                    let detail = format!("{} have no column {index}", signal.as_str());
                    return Err(InvalidPredicate(detail));
                }
                Ok(Self::Fixed(index))
            }
            Field::Key(key) => Ok(attr(key, true, true)),
            Field::Record(key) => Ok(attr(key, true, false)),
            Field::Resource(key) => Ok(attr(key, false, true)),
        }
    }

    /// Long texts and attributes that may be spread over several columns cost more to read.
    fn cost(&self) -> u32 {
        match self {
            Self::Fixed(0) => 1,
            Self::Fixed(_) => 2,
            Self::Attr { .. } => 3,
        }
    }
}
