//! The parsed query.

use std::sync::Arc;

use regex::Regex;

use super::value::{CompareOp, MathOp, Value};

/// A query: stages through which the spans of every trace go, and what is made of those that come out.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// At least one.
    pub stages: Vec<Stage>,
    /// Makes time series of the spans; without it, the traces are the answer.
    pub metrics: Option<MetricsQuery>,
}

/// A step of a pipeline, from lists of spans to lists of spans.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Keeps what the expression selects of each list.
    Spans(SpansetExpr),
    /// Keeps lists for which a comparison of their totals holds.
    Scalar(Scalar, CompareOp, Scalar),
    /// Splits each list by a value.
    By(FieldExpr),
    /// Joins the lists again.
    Coalesce,
    /// Shows fields of the spans.
    Select(Vec<FieldRef>),
}

/// Selects spans of a trace.
#[derive(Clone, Debug, PartialEq)]
pub enum SpansetExpr {
    /// `{ … }`: spans for which the expression is true.
    Selector(FieldExpr),
    /// `&&`: the spans of both, where both have any.
    Both(Vec<SpansetExpr>),
    /// `||`: the spans of either.
    Either(Vec<SpansetExpr>),
    /// Spans of the right side that stand in a relation to one of the left.
    Related {
        /// To whom.
        left: Box<SpansetExpr>,
        /// In which.
        relation: Relation,
        /// Plain, negated, or the spans of both sides.
        mode: RelationMode,
        /// Who.
        right: Box<SpansetExpr>,
    },
    /// A pipeline between parentheses.
    Pipeline(Vec<Stage>),
}

/// How a span of the right side stands to one of the left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `>`: it is its child.
    Child,
    /// `>>`: it is under it.
    Descendant,
    /// `<`: it is its parent.
    Parent,
    /// `<<`: it is above it.
    Ancestor,
    /// `~`: they have the same parent.
    Sibling,
}

/// What is made of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationMode {
    /// Spans of the right side that stand in it.
    Plain,
    /// `!`: spans of the right side that do not.
    Not,
    /// `&`: spans of both sides that take part in it.
    Union,
}

/// A number of a list of spans.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A number or a duration.
    Literal(Value),
    /// A total over the spans; `count` has no field.
    Aggregate(Aggregate, Option<FieldExpr>),
    /// Numbers of numbers.
    Math(MathOp, Box<Scalar>, Box<Scalar>),
}

/// A total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// How many spans.
    Count,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The mean.
    Avg,
    /// All together.
    Sum,
}

/// An expression about one span.
#[derive(Clone, Debug)]
pub enum FieldExpr {
    /// A constant.
    Literal(Value),
    /// A field of the span.
    Field(FieldRef),
    /// `!`
    Not(Box<FieldExpr>),
    /// `-`
    Negative(Box<FieldExpr>),
    /// `&&`
    All(Vec<FieldExpr>),
    /// `||`
    Any(Vec<FieldExpr>),
    /// Two values in an order.
    Compare(CompareOp, Box<FieldExpr>, Box<FieldExpr>),
    /// `= nil`: not there.
    Missing(Box<FieldExpr>),
    /// `=~`, or `!~` where negated; the expression matches whole texts.
    Match {
        /// What.
        of: Box<FieldExpr>,
        /// The expression as written.
        pattern: Arc<str>,
        /// The same, compiled with its anchors.
        regex: Regex,
        /// Whether it must not match.
        negated: bool,
    },
    /// Numbers of numbers.
    Math(MathOp, Box<FieldExpr>, Box<FieldExpr>),
}

impl PartialEq for FieldExpr {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(a), Self::Literal(b)) => a == b,
            (Self::Field(a), Self::Field(b)) => a == b,
            (Self::Not(a), Self::Not(b))
            | (Self::Negative(a), Self::Negative(b))
            | (Self::Missing(a), Self::Missing(b)) => a == b,
            (Self::All(a), Self::All(b)) | (Self::Any(a), Self::Any(b)) => a == b,
            (Self::Compare(op, a, b), Self::Compare(other_op, c, d)) => op == other_op && a == c && b == d,
            (Self::Math(op, a, b), Self::Math(other_op, c, d)) => op == other_op && a == c && b == d,
            (
                Self::Match { of, pattern, negated, .. },
                Self::Match { of: other_of, pattern: other_pattern, negated: other_negated, .. },
            ) => of == other_of && pattern == other_pattern && negated == other_negated,
            _ => false,
        }
    }
}

/// A field of a span.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FieldRef {
    /// What every span has.
    Intrinsic(Intrinsic),
    /// An attribute.
    Attribute(AttributeScope, Arc<str>),
}

/// Whose attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttributeScope {
    /// The span's; where it has none, its resource's.
    Any,
    /// The span's.
    Span,
    /// Its resource's.
    Resource,
    /// Its events'.
    Event,
    /// Its links'.
    Link,
}

macro_rules! intrinsics {
    ($($(#[doc = $doc:literal])* $variant:ident: $name:literal $(| $alias:literal)*;)*) => {
        /// What every span has, whatever its attributes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Intrinsic {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Intrinsic {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As it is written.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// By any of its names.
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($name $(| $alias)* => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

intrinsics! {
    /// How long the span took.
    Duration: "duration" | "span:duration";
    /// The operation.
    Name: "name" | "span:name";
    /// How it ended.
    Status: "status" | "span:status";
    /// Why it ended badly.
    StatusMessage: "statusMessage" | "span:statusMessage";
    /// What it does.
    Kind: "kind" | "span:kind";
    /// Number of children.
    ChildCount: "span:childCount" | "childCount";
    /// The span's id in hexadecimal.
    SpanId: "span:id";
    /// Its parent's id in hexadecimal.
    ParentId: "span:parentID" | "parent";
    /// How long the trace took.
    TraceDuration: "traceDuration" | "trace:duration";
    /// Operation of the trace's root.
    RootName: "rootName" | "trace:rootName";
    /// Service of the trace's root.
    RootServiceName: "rootServiceName" | "rootService" | "trace:rootService";
    /// The trace's id in hexadecimal.
    TraceId: "trace:id";
    /// Number of the parent in the tree; -1 for a root.
    NestedSetParent: "nestedSetParent";
    /// Number of the span in the tree, before what is under it.
    NestedSetLeft: "nestedSetLeft";
    /// Number behind what is under it.
    NestedSetRight: "nestedSetRight";
    /// Names of its events.
    EventName: "event:name";
    /// How long after the span's start its events happened.
    EventTimeSinceStart: "event:timeSinceStart";
    /// Traces it links to, in hexadecimal.
    LinkTraceId: "link:traceID";
    /// Spans it links to, in hexadecimal.
    LinkSpanId: "link:spanID";
    /// The library that made it.
    InstrumentationName: "instrumentation:name";
    /// Its version.
    InstrumentationVersion: "instrumentation:version";
}

/// Makes time series of spans.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsQuery {
    /// What of the spans.
    pub function: Function,
    /// One series for every combination of these.
    pub by: Vec<FieldRef>,
    /// Keeps the most or the least, if given.
    pub rank: Option<Rank>,
    /// Keeps values for which this holds, if given.
    pub keep: Option<(CompareOp, f64)>,
}

/// Which series are kept at every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// The greatest rather than the least.
    pub top: bool,
    /// How many.
    pub count: usize,
}

/// What of the spans of each step.
#[derive(Clone, Debug, PartialEq)]
pub enum Function {
    /// How many a second.
    Rate,
    /// How many.
    CountOverTime,
    /// The least value of a field.
    MinOverTime(FieldExpr),
    /// The greatest.
    MaxOverTime(FieldExpr),
    /// The mean.
    AvgOverTime(FieldExpr),
    /// All together.
    SumOverTime(FieldExpr),
    /// Values that these parts of the spans do not exceed.
    QuantileOverTime(FieldExpr, Vec<f64>),
    /// How many between powers of two.
    HistogramOverTime(FieldExpr),
}
