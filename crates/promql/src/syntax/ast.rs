//! The syntax tree: what a PromQL text means, with the place of each node in it.

use model::Matcher;

/// Byte offsets into the query text, half-open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pos {
    /// First byte.
    pub start: u32,
    /// Byte after the last.
    pub end: u32,
}

/// The type of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// One number.
    Scalar,
    /// One text.
    String,
    /// Series with one sample each.
    Vector,
    /// Series with a range of samples each.
    Matrix,
}

impl ValueType {
    /// As upstream's messages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }
}

/// A node with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands in the text.
    pub pos: Pos,
}

/// The kinds of node.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `0x1F`, `Inf`, `1h30m` as seconds.
    Number(NumberLiteral),
    /// `"text"`.
    String(String),
    /// `( expr )`.
    Paren(Box<Expr>),
    /// `-expr` or `+expr`.
    Unary(UnaryExpr),
    /// `lhs op rhs`.
    Binary(Box<BinaryExpr>),
    /// `sum by (x) (expr)`.
    Aggregate(Box<AggregateExpr>),
    /// `rate(…)`.
    Call(Call),
    /// `name{…} offset … @ …`.
    Vector(VectorSelector),
    /// `name{…}[5m]`.
    Matrix(MatrixSelector),
    /// `expr[1h:5m]`.
    Subquery(Box<SubqueryExpr>),
}

/// A number, and whether it was written as a duration (which matters only for printing).
#[derive(Clone, Debug, PartialEq)]
pub struct NumberLiteral {
    /// The value; durations in seconds.
    pub value: f64,
    /// Written like `1h30m`.
    pub duration: bool,
}

/// A sign before an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct UnaryExpr {
    /// True for `-`.
    pub negative: bool,
    /// What it applies to.
    pub expr: Box<Expr>,
}

/// Binary operators by precedence group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `atan2`
    Atan2,
    /// `==`
    Eql,
    /// `!=`
    Neq,
    /// `>`
    Gtr,
    /// `<`
    Lss,
    /// `>=`
    Gte,
    /// `<=`
    Lte,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
    /// `</`: histogram buckets below a bound.
    TrimUpper,
    /// `>/`: histogram buckets above a bound.
    TrimLower,
}

/// `lhs op [bool] [on|ignoring (…)] [group_left|group_right (…)] [fill…] rhs`.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryExpr {
    /// The operator.
    pub op: BinaryOp,
    /// Left operand.
    pub lhs: Expr,
    /// Right operand.
    pub rhs: Expr,
    /// How elements of two vectors find each other; `None` unless both sides are vectors.
    pub matching: Option<VectorMatching>,
    /// `bool`: comparisons answer 0 or 1 instead of filtering.
    pub return_bool: bool,
}

/// How many elements on either side may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// One to one.
    OneToOne,
    /// `group_left`.
    ManyToOne,
    /// `group_right`.
    OneToMany,
    /// `and`, `or`, `unless`.
    ManyToMany,
}

/// The matching clause of a binary expression.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorMatching {
    /// How many may match.
    pub card: Cardinality,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// True for `on`, false for `ignoring` or no clause.
    pub on: bool,
    /// Labels that the "one" side lends to the result.
    pub include: Vec<String>,
    /// `fill`/`fill_left`: the value of a missing left element.
    pub fill_left: Option<f64>,
    /// `fill`/`fill_right`: the value of a missing right element.
    pub fill_right: Option<f64>,
}

/// Aggregation operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    /// `avg`
    Avg,
    /// `bottomk`
    Bottomk,
    /// `count`
    Count,
    /// `count_values`
    CountValues,
    /// `group`
    Group,
    /// `limitk`
    Limitk,
    /// `limit_ratio`
    LimitRatio,
    /// `max`
    Max,
    /// `min`
    Min,
    /// `quantile`
    Quantile,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
    /// `sum`
    Sum,
    /// `topk`
    Topk,
}

/// `op [by|without (…)] ([param,] expr)`.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateExpr {
    /// The operator.
    pub op: AggregateOp,
    /// What is aggregated.
    pub expr: Expr,
    /// The parameter of `topk`, `quantile`, `count_values` …
    pub param: Option<Expr>,
    /// The labels of `by` or `without`.
    pub grouping: Vec<String>,
    /// True for `without`.
    pub without: bool,
}

/// A function call. Its name is known and its arguments fit the signature once parsing succeeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function: an entry of the function table.
    pub func: &'static super::functions::Function,
    /// Its arguments.
    pub args: Vec<Expr>,
}

/// The instant of an `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// `@ 1700000000.5`: milliseconds.
    Time(i64),
    /// `@ start()`.
    Start,
    /// `@ end()`.
    End,
}

/// A duration that may depend on the query: fixed, or an expression over `step()` and `range()`.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationValue {
    /// Milliseconds.
    Fixed(i64),
    /// Computed when the query's range and step are known.
    Expr(Box<DurationExpr>),
}

/// Duration arithmetic. Numbers are seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExpr {
    /// A literal, seconds.
    Number(NumberLiteral),
    /// `step()`.
    Step,
    /// `range()`: the query's end minus its start.
    Range,
    /// `-x` or `+x`.
    Unary {
        /// True for `-`.
        negative: bool,
        /// Operand.
        expr: Box<DurationExpr>,
    },
    /// `+ - * / % ^`.
    Binary {
        /// Operator.
        op: BinaryOp,
        /// Left.
        lhs: Box<DurationExpr>,
        /// Right.
        rhs: Box<DurationExpr>,
    },
    /// `min(a, b)`.
    Min(Box<DurationExpr>, Box<DurationExpr>),
    /// `max(a, b)`.
    Max(Box<DurationExpr>, Box<DurationExpr>),
    /// Parentheses, kept for printing.
    Paren(Box<DurationExpr>),
}

/// `name{matchers} [offset d] [@ t] [anchored|smoothed]`.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The bare name, if one was written before the braces.
    pub name: Option<String>,
    /// Every condition, the name's included.
    pub matchers: Vec<Matcher>,
    /// `offset`; positive looks back.
    pub offset: Option<DurationValue>,
    /// `@`.
    pub at: Option<At>,
    /// `anchored`: ranges reach back to the sample before their left edge.
    pub anchored: bool,
    /// `smoothed`: values at the edges are interpolated.
    pub smoothed: bool,
}

/// A vector selector with a range.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// The selector; offset and `@` written after the range belong to it.
    pub selector: VectorSelector,
    /// Place of the selector alone.
    pub selector_pos: Pos,
    /// `[range]`.
    pub range: DurationValue,
}

/// `expr[range:step] [offset d] [@ t]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SubqueryExpr {
    /// What is evaluated at each step.
    pub expr: Expr,
    /// How far back.
    pub range: DurationValue,
    /// Step; the engine's default when `None`.
    pub step: Option<DurationValue>,
    /// `offset`.
    pub offset: Option<DurationValue>,
    /// `@`.
    pub at: Option<At>,
}
