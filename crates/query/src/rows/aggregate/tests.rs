//! Figures against the same figures of a list of rows in plain code.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Instant;

use model::record::{log, span};
use model::{Records, Value};
use proptest::prelude::*;

use super::*;
use crate::control::Control;
use crate::rows::Slices;
use crate::search::Search;

/// A value of an attribute.
#[derive(Clone, Debug)]
enum Given {
    None,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'static str),
}

impl Given {
    /// The number that it is or shows.
    fn number(&self) -> Option<f64> {
        match self {
            Self::None | Self::Bool(_) => None,
            Self::Int(int) => Some(*int as f64),
            Self::Double(double) => Some(*double).filter(|double| double.is_finite()),
            Self::Text(text) => text.parse().ok().filter(|double: &f64| double.is_finite()),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Bool(truth) => truth.to_string(),
            Self::Int(int) => int.to_string(),
            Self::Double(double) => double.to_string(),
            Self::Text(text) => (*text).to_owned(),
        }
    }

    fn push(&self, key: &str, records: &mut Records) {
        let value = match self {
            Self::None => return,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Int(int) => Value::Int(*int),
            Self::Double(double) => Value::Double(*double),
            Self::Text(text) => Value::Text(records.push_text(text)),
        };
        records.push_attr(key, value);
    }
}

/// A log record: `n` and `a` are attributes, `service` is the resource's.
#[derive(Clone, Debug)]
struct Line {
    n: Given,
    a: Given,
    service: Given,
    severity: i64,
}

fn records(lines: &[Line]) -> Records {
    let mut records = Records::new(Signal::Logs);
    for (at, line) in lines.iter().enumerate() {
        let first = records.attrs.len() as u32;
        line.service.push("service.name", &mut records);
        let resource = records.end_resource(first);
        let first = records.attrs.len() as u32;
        line.n.push("n", &mut records);
        line.a.push("a", &mut records);
        let mut fields = [Value::Null; 7];
        fields[log::TIMESTAMP] = Value::Int(at as i64);
        fields[log::SEVERITY_NUMBER] = Value::Int(line.severity);
        fields[log::BODY] = Value::Text(records.push_text("12"));
        records.push_row(at as u32, resource, first, &fields);
    }
    records
}

fn reader(lines: &[Line], size: usize) -> RowReader {
    let slices = lines.chunks(size.max(1)).map(|part| Slice::of_records(&records(part))).collect();
    RowReader::new(Arc::new(Slices::new(Signal::Logs, slices)), Control::default())
}

fn ask(text: &str, signal: Signal) -> Ask {
    let predicate = Search::parse(text, signal).expect(text).into_predicate();
    Ask { predicate, start_ns: i64::MIN, end_ns: i64::MAX }
}

fn figure(kind: FigureKind, field: &str, by: &[&str]) -> Figure {
    let field = (!field.is_empty()).then(|| field.to_owned());
    Figure { kind, field, by: by.iter().map(|name| (*name).to_owned()).collect() }
}

/// What a field of a line shows and which number it is.
fn field_of(line: &Line, name: &str) -> (String, Option<f64>) {
    let level = match line.severity {
        9 => "info",
        17 => "error",
        other => panic!("{other} is no severity here"),
    };
    match name {
        "n" => (line.n.shown(), line.n.number()),
        "a" => (line.a.shown(), line.a.number()),
        "service" => (line.service.shown(), line.service.number()),
        "level" => (level.to_owned(), Some(line.severity as f64)),
        "message" => ("12".to_owned(), Some(12.0)),
        _ => (String::new(), None),
    }
}

/// The figure of numbers, of which there is one at least.
fn plain_figure(kind: FigureKind, mut numbers: Vec<f64>) -> f64 {
    let sum: f64 = numbers.iter().sum();
    let count = numbers.len();
    numbers.sort_by(f64::total_cmp);
    match kind {
        FigureKind::Count => count as f64,
        FigureKind::Sum => sum,
        FigureKind::Avg => sum / count as f64,
        FigureKind::Min => numbers[0],
        FigureKind::Max => numbers[count - 1],
        FigureKind::Quantile(q) => {
            let rank = q * (count - 1) as f64;
            let (below, above) = (numbers[rank.floor() as usize], numbers[rank.ceil() as usize]);
            below + (above - below) * rank.fract()
        }
    }
}

/// The same answer in plain code: most rows first, then by value.
fn oracle(lines: &[&Line], figure: &Figure) -> Vec<(Vec<String>, f64)> {
    let mut groups: BTreeMap<Vec<String>, Vec<f64>> = BTreeMap::new();
    for line in lines {
        let number = match &figure.field {
            Some(name) => field_of(line, name).1,
            None => Some(0.0),
        };
        if let Some(number) = number {
            let key = figure.by.iter().map(|name| field_of(line, name).0).collect();
            groups.entry(key).or_default().push(number);
        }
    }
    if figure.kind == FigureKind::Count && figure.by.is_empty() {
        groups.entry(Vec::new()).or_default();
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|group| Reverse(group.1.len()));
    groups.into_iter().map(|(key, numbers)| (key, plain_figure(figure.kind, numbers))).collect()
}

#[track_caller]
fn same(got: &[(Vec<String>, f64)], want: &[(Vec<String>, f64)], what: &str) {
    let keys = |groups: &[(Vec<String>, f64)]| groups.iter().map(|g| g.0.clone()).collect::<Vec<_>>();
    assert_eq!(keys(got), keys(want), "{what}");
    for ((key, got), (_, want)) in got.iter().zip(want) {
        assert!((got - want).abs() <= 1e-9 * want.abs().max(1.0), "{what} {key:?}: {got}, not {want}");
    }
}

/// Searches and the same in plain code.
type Case = (&'static str, fn(&Line) -> bool);

const SEARCHES: [Case; 5] = [
    ("", |_| true),
    ("level:error", |line| line.severity == 17),
    ("service:api", |line| line.service.shown() == "api"),
    ("n:>=2", |line| match line.n {
        // Infinite ones are found too.
        Given::Double(double) => double >= 2.0,
        _ => line.n.number().is_some_and(|number| number >= 2.0),
    }),
    ("level:fatal", |_| false),
];

fn given() -> impl Strategy<Value = Given> {
    prop_oneof![
        2 => Just(Given::None),
        1 => any::<bool>().prop_map(Given::Bool),
        3 => (-5i64..20).prop_map(Given::Int),
        // Halves, so that texts of them are short whoever writes them.
        3 => (-9i32..40).prop_map(|halves| Given::Double(f64::from(halves) + 0.5)),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY]).prop_map(Given::Double),
        2 => prop::sample::select(vec!["7", "-2.5", "1e3", "+4", "x", "inf", "3 ms", ""]).prop_map(Given::Text),
    ]
}

/// Values that show the same whatever other kinds stand beside them.
fn label() -> impl Strategy<Value = Given> {
    prop_oneof![
        Just(Given::None),
        Just(Given::Int(7)),
        prop::sample::select(vec!["api", "web", "", "7", "a\u{1}b"]).prop_map(Given::Text),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    (given(), label(), label(), prop::sample::select(vec![9i64, 17]))
        .prop_map(|(n, a, service, severity)| Line { n, a, service, severity })
}

fn kind() -> impl Strategy<Value = FigureKind> {
    prop_oneof![
        Just(FigureKind::Count),
        Just(FigureKind::Sum),
        Just(FigureKind::Avg),
        Just(FigureKind::Min),
        Just(FigureKind::Max),
        (0.0f64..=1.0).prop_map(FigureKind::Quantile),
        Just(FigureKind::Quantile(0.0)),
        Just(FigureKind::Quantile(1.0)),
    ]
}

proptest! {
    #[test]
    fn figures_are_those_of_plain_code(
        lines in prop::collection::vec(line(), 0..80),
        size in 1usize..90,
        kind in kind(),
        number in prop::sample::select(vec!["n", "n", "a", "level", "message", "nothing"]),
        by in prop::collection::vec(prop::sample::select(vec!["a", "service", "level", "nothing"]), 0..4),
        search in prop::sample::select(SEARCHES.to_vec()),
    ) {
        let field = if kind == FigureKind::Count { "" } else { number };
        let figure = figure(kind, field, &by);
        let got = reader(&lines, size).aggregate(&ask(search.0, Signal::Logs), &figure).expect("an answer");
        let wanted: Vec<&Line> = lines.iter().filter(|line| search.1(line)).collect();
        same(&got.groups, &oracle(&wanted, &figure), &format!("{figure:?} {:?}", search.0));
        prop_assert!(!got.truncated && !got.approximate);
    }

    #[test]
    fn groups_without_room_are_told_and_those_with_room_are_whole(
        lines in prop::collection::vec(line(), 1..80),
        size in 1usize..90,
        groups in 0usize..8,
        told_apart in 0usize..8,
        key_bytes in 0usize..300,
    ) {
        let bounds = Bounds { groups, told_apart, key_bytes, ..BOUNDS };
        let figure = figure(FigureKind::Count, "", &["a", "service"]);
        let got = reader(&lines, size).aggregate_within(&ask("", Signal::Logs), &figure, bounds).expect("an answer");
        let want = oracle(&lines.iter().collect::<Vec<_>>(), &figure);
        prop_assert!(got.groups.len() <= groups.min(told_apart));
        prop_assert_eq!(got.truncated, got.groups.len() < want.len());
        let kept: Vec<_> = want.into_iter().filter(|group| got.groups.contains(group)).collect();
        prop_assert_eq!(got.groups, kept);
    }

    #[test]
    fn quantiles_of_much_are_off_by_little_and_say_so(
        numbers in prop::collection::vec(1i64..1_000_000, 1..200),
        size in 1usize..90,
        exact in 0usize..300,
        q in 0.0f64..=1.0,
    ) {
        let lines: Vec<Line> = numbers.iter().map(|n| Line { n: Given::Int(*n), ..silent() }).collect();
        let bounds = Bounds { exact, ..BOUNDS };
        let figure = figure(FigureKind::Quantile(q), "n", &[]);
        let got = reader(&lines, size).aggregate_within(&ask("", Signal::Logs), &figure, bounds).expect("an answer");
        prop_assert_eq!(got.approximate, numbers.len() > exact);
        let want = oracle(&lines.iter().collect::<Vec<_>>(), &figure)[0].1;
        let error = (got.groups[0].1 - want).abs();
        prop_assert!(error <= want * if got.approximate { 0.008 } else { 1e-9 }, "{:?} {}", got, want);
    }
}

fn silent() -> Line {
    Line { n: Given::None, a: Given::None, service: Given::None, severity: 9 }
}

#[test]
fn a_count_of_nothing_is_zero_and_other_figures_of_nothing_are_none() {
    let reader = reader(&[silent()], 1);
    let nowhere = ask("level:fatal", Signal::Logs);
    let rows = [
        (figure(FigureKind::Count, "", &[]), vec![(Vec::new(), 0.0)]),
        (figure(FigureKind::Count, "", &["service"]), vec![]),
        (figure(FigureKind::Sum, "level", &[]), vec![]),
        (figure(FigureKind::Quantile(0.5), "level", &[]), vec![]),
    ];
    for (figure, want) in rows {
        assert_eq!(reader.aggregate(&nowhere, &figure).expect("an answer").groups, want, "{figure:?}");
        let never = Ask { start_ns: 5, end_ns: 5, ..ask("", Signal::Logs) };
        assert_eq!(reader.aggregate(&never, &figure).expect("an answer").groups, want, "{figure:?}");
    }
}

#[test]
fn durations_of_spans_are_nanoseconds() {
    let mut records = Records::new(Signal::Traces);
    for (at, (name, duration)) in [("a", 1_500_000), ("b", 7), ("a", 500_000)].into_iter().enumerate() {
        let first = records.attrs.len() as u32;
        let mut fields = [Value::Null; 11];
        fields[span::START] = Value::Int(at as i64);
        fields[span::DURATION] = Value::Int(duration);
        fields[span::TRACE_ID] = Value::Bytes(records.push_text([7; 16]));
        fields[span::SPAN_ID] = Value::Bytes(records.push_text([at as u8 + 1; 8]));
        fields[span::NAME] = Value::Text(records.push_text(name));
        records.push_row(at as u32, u32::MAX, first, &fields);
    }
    let reader = RowReader::new(Arc::new(Slices::of_records(&records)), Control::default());
    let group = |name: &str, value| (vec![name.to_owned()], value);
    let rows = [
        ("", FigureKind::Avg, vec![group("a", 1e6), group("b", 7.0)]),
        ("", FigureKind::Max, vec![group("a", 1.5e6), group("b", 7.0)]),
        ("duration:>1ms", FigureKind::Min, vec![group("a", 1.5e6)]),
        ("", FigureKind::Quantile(0.5), vec![group("a", 1e6), group("b", 7.0)]),
    ];
    for (search, kind, want) in rows {
        let figure = figure(kind, "duration", &["operation"]);
        let got = reader.aggregate(&ask(search, Signal::Traces), &figure).expect("an answer");
        assert_eq!(got.groups, want, "{search} {kind:?}");
    }
    for field in ["trace_id", "span", "events"] {
        let error = reader.aggregate(&ask("", Signal::Traces), &figure(FigureKind::Sum, field, &[]));
        assert!(matches!(error, Err(QueryFault::Invalid(_))), "{field}: {error:?}");
    }
}

#[test]
fn sums_keep_what_rounding_would_take() {
    let given = [1e16, 1.0, -1e16, 1.0].map(Given::Double);
    let lines = given.map(|n| Line { n, ..silent() });
    for size in 1..=4 {
        let sum = figure(FigureKind::Sum, "n", &[]);
        let got = reader(&lines, size).aggregate(&ask("", Signal::Logs), &sum).expect("an answer");
        assert_eq!(got.groups, [(Vec::new(), 2.0)], "slices of {size}");
    }
    let large = [f64::MAX; 3].map(|n| Line { n: Given::Double(n), ..silent() });
    let sum = figure(FigureKind::Sum, "n", &[]);
    let got = reader(&large, 2).aggregate(&ask("", Signal::Logs), &sum).expect("an answer");
    assert_eq!(got.groups, [(Vec::new(), f64::INFINITY)]);
}

#[test]
fn questions_without_an_answer_say_what_to_ask_instead() {
    let reader = reader(&[silent()], 1);
    let rows = [
        (figure(FigureKind::Sum, "", &[]), "no field whose numbers are meant: name one"),
        (
            figure(FigureKind::Count, "n", &[]),
            "a count of rows takes no field, not \"n\": leave it out, and search for `field:*` to count the rows \
             that have one",
        ),
        (
            figure(FigureKind::Quantile(95.0), "n", &[]),
            "95 is no quantile: ask for one from 0 to 1, such as 0.95",
        ),
        (
            figure(FigureKind::Quantile(f64::NAN), "n", &[]),
            "NaN is no quantile: ask for one from 0 to 1, such as 0.95",
        ),
        (
            figure(FigureKind::Max, "trace_id", &[]),
            "\"trace_id\" holds no numbers: name a field that does, or count rows",
        ),
        (
            figure(FigureKind::Count, "", &["n"; 9]),
            "9 fields are more than the 8 that group rows: group by fewer",
        ),
    ];
    for (figure, want) in rows {
        let error = reader.aggregate(&ask("", Signal::Logs), &figure).expect_err("no answer");
        assert_eq!(error.to_string(), want);
    }
}

#[test]
fn quantiles_give_up_exactness_before_they_give_up() {
    let numbers = |distinct: i64| -> Vec<Line> {
        (0..600)
            .map(|at| Line {
                n: Given::Int(1 << (at % distinct)),
                a: Given::Text(["x", "y", "z"][at as usize % 3]),
                ..silent()
            })
            .collect()
    };
    let bounds = Bounds { cells: 300, ..BOUNDS };
    let p50 = figure(FigureKind::Quantile(0.5), "n", &["a"]);
    let few =
        reader(&numbers(5), 50).aggregate_within(&ask("", Signal::Logs), &p50, bounds).expect("an answer");
    assert!(few.approximate && !few.truncated);
    let wanted = numbers(5);
    for (got, want) in few.groups.iter().zip(oracle(&wanted.iter().collect::<Vec<_>>(), &p50)) {
        assert_eq!(got.0, want.0);
        assert!((got.1 - want.1).abs() <= want.1 * 0.008, "{got:?} {want:?}");
    }
    let many = reader(&numbers(60), 50).aggregate_within(&ask("", Signal::Logs), &p50, bounds);
    let Err(QueryFault::Limit(problem)) = many else { panic!("{many:?}") };
    assert_eq!(
        problem,
        "the quantiles of 3 groups take too much memory: group by fewer fields, ask for a shorter range, or \
         search for less"
    );
}

#[test]
fn more_groups_than_an_answer_has_are_told_and_the_most_frequent_stay() {
    let mut records = Records::new(Signal::Logs);
    // The last of them come twice.
    for at in (0..10_050i64).chain(10_000..10_050) {
        let first = records.attrs.len() as u32;
        records.push_attr("n", Value::Int(at));
        let mut fields = [Value::Null; 7];
        fields[log::TIMESTAMP] = Value::Int(at);
        records.push_row(at as u32, u32::MAX, first, &fields);
    }
    let reader = RowReader::new(Arc::new(Slices::of_records(&records)), Control::default());
    let by = figure(FigureKind::Max, "n", &["n"]);
    let got = reader.aggregate(&ask("", Signal::Logs), &by).expect("an answer");
    assert_eq!((got.groups.len(), got.truncated, got.approximate), (10_000, true, false));
    assert!(got.groups[..50].iter().all(|group| group.1 >= 10_000.0));
    assert!(got.groups.iter().all(|group| group.0[0] == group.1.to_string()));
}

#[test]
fn figures_end_when_they_must() {
    let lines = vec![silent(); 10];
    let count = figure(FigureKind::Count, "", &["level"]);
    let source = Arc::new(Slices::of_records(&records(&lines)));
    let late = RowReader::new(source.clone(), Control::until(Instant::now()));
    assert!(matches!(late.aggregate(&ask("", Signal::Logs), &count), Err(QueryFault::Timeout)));
    let control = Control::default();
    control.cancelled.store(true, Ordering::Relaxed);
    let gone = RowReader::new(source, control);
    assert!(matches!(gone.aggregate(&ask("", Signal::Logs), &count), Err(QueryFault::Cancelled)));
}
