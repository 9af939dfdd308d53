//! The function table: every function with its signature.

use super::ast::ValueType::{self, Matrix, Scalar, String, Vector};

/// A function's signature.
#[derive(Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Types of its arguments.
    pub args: &'static [ValueType],
    /// 0: all arguments are required. Otherwise the last may be left out or repeated: n more than the others
    /// at most, -1 any number.
    pub variadic: i32,
    /// Type of its value.
    pub returns: ValueType,
    /// True where upstream calls it experimental (and we offer it all the same).
    pub experimental: bool,
}

impl Function {
    /// Fewest arguments a call may have.
    pub fn args_min(&self) -> usize {
        if self.variadic == 0 { self.args.len() } else { self.args.len() - 1 }
    }

    /// Most arguments a call may have; `None` when the last may repeat for ever. `histogram_quantiles`
    /// takes more than it lists types for.
    pub fn args_max(&self) -> Option<usize> {
        usize::try_from(self.variadic).ok().map(|optional| self.args_min() + optional)
    }

    /// The type of the argument at an index; the last type goes on for arguments that repeat.
    pub fn arg_type(&self, index: usize) -> Option<ValueType> {
        self.args.get(index).or(self.args.last()).copied()
    }
}

/// The function of that name.
pub fn lookup(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|i| &FUNCTIONS[i])
}

/// All functions, sorted by name.
pub fn all() -> &'static [Function] {
    FUNCTIONS
}

const fn stable(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Function {
    Function { name, args, variadic: 0, returns, experimental: false }
}

const fn trial(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Function {
    Function { name, args, variadic: 0, returns, experimental: true }
}

/// Sets [`Function::variadic`].
const fn variadic(n: i32, function: Function) -> Function {
    Function { variadic: n, ..function }
}

static FUNCTIONS: &[Function] = &[
    stable("abs", &[Vector], Vector),
    stable("absent", &[Vector], Vector),
    stable("absent_over_time", &[Matrix], Vector),
    stable("acos", &[Vector], Vector),
    stable("acosh", &[Vector], Vector),
    stable("asin", &[Vector], Vector),
    stable("asinh", &[Vector], Vector),
    stable("atan", &[Vector], Vector),
    stable("atanh", &[Vector], Vector),
    stable("avg_over_time", &[Matrix], Vector),
    stable("ceil", &[Vector], Vector),
    stable("changes", &[Matrix], Vector),
    stable("clamp", &[Vector, Scalar, Scalar], Vector),
    stable("clamp_max", &[Vector, Scalar], Vector),
    stable("clamp_min", &[Vector, Scalar], Vector),
    stable("cos", &[Vector], Vector),
    stable("cosh", &[Vector], Vector),
    stable("count_over_time", &[Matrix], Vector),
    variadic(1, stable("day_of_month", &[Vector], Vector)),
    variadic(1, stable("day_of_week", &[Vector], Vector)),
    variadic(1, stable("day_of_year", &[Vector], Vector)),
    variadic(1, stable("days_in_month", &[Vector], Vector)),
    stable("deg", &[Vector], Vector),
    stable("delta", &[Matrix], Vector),
    stable("deriv", &[Matrix], Vector),
    trial("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Vector),
    trial("end", &[], Scalar),
    stable("exp", &[Vector], Vector),
    trial("first_over_time", &[Matrix], Vector),
    stable("floor", &[Vector], Vector),
    stable("histogram_avg", &[Vector], Vector),
    stable("histogram_count", &[Vector], Vector),
    stable("histogram_fraction", &[Scalar, Scalar, Vector], Vector),
    stable("histogram_quantile", &[Scalar, Vector], Vector),
    variadic(9, trial("histogram_quantiles", &[Vector, String, Scalar, Scalar], Vector)),
    stable("histogram_stddev", &[Vector], Vector),
    stable("histogram_stdvar", &[Vector], Vector),
    stable("histogram_sum", &[Vector], Vector),
    variadic(1, stable("hour", &[Vector], Vector)),
    stable("idelta", &[Matrix], Vector),
    stable("increase", &[Matrix], Vector),
    variadic(1, trial("info", &[Vector, Vector], Vector)),
    stable("irate", &[Matrix], Vector),
    variadic(-1, stable("label_join", &[Vector, String, String, String], Vector)),
    stable("label_replace", &[Vector, String, String, String, String], Vector),
    stable("last_over_time", &[Matrix], Vector),
    stable("ln", &[Vector], Vector),
    stable("log10", &[Vector], Vector),
    stable("log2", &[Vector], Vector),
    trial("mad_over_time", &[Matrix], Vector),
    trial("max_of", &[Scalar, Scalar], Scalar),
    stable("max_over_time", &[Matrix], Vector),
    trial("min_of", &[Scalar, Scalar], Scalar),
    stable("min_over_time", &[Matrix], Vector),
    variadic(1, stable("minute", &[Vector], Vector)),
    variadic(1, stable("month", &[Vector], Vector)),
    stable("pi", &[], Scalar),
    stable("predict_linear", &[Matrix, Scalar], Vector),
    stable("present_over_time", &[Matrix], Vector),
    stable("quantile_over_time", &[Scalar, Matrix], Vector),
    stable("rad", &[Vector], Vector),
    trial("range", &[], Scalar),
    stable("rate", &[Matrix], Vector),
    stable("resets", &[Matrix], Vector),
    variadic(1, stable("round", &[Vector, Scalar], Vector)),
    stable("scalar", &[Vector], Scalar),
    stable("sgn", &[Vector], Vector),
    stable("sin", &[Vector], Vector),
    stable("sinh", &[Vector], Vector),
    stable("sort", &[Vector], Vector),
    variadic(-1, trial("sort_by_label", &[Vector, String], Vector)),
    variadic(-1, trial("sort_by_label_desc", &[Vector, String], Vector)),
    stable("sort_desc", &[Vector], Vector),
    stable("sqrt", &[Vector], Vector),
    trial("start", &[], Scalar),
    stable("stddev_over_time", &[Matrix], Vector),
    stable("stdvar_over_time", &[Matrix], Vector),
    trial("step", &[], Scalar),
    stable("sum_over_time", &[Matrix], Vector),
    stable("tan", &[Vector], Vector),
    stable("tanh", &[Vector], Vector),
    stable("time", &[], Scalar),
    stable("timestamp", &[Vector], Vector),
    trial("ts_of_first_over_time", &[Matrix], Vector),
    trial("ts_of_last_over_time", &[Matrix], Vector),
    trial("ts_of_max_over_time", &[Matrix], Vector),
    trial("ts_of_min_over_time", &[Matrix], Vector),
    stable("vector", &[Scalar], Vector),
    variadic(1, stable("year", &[Vector], Vector)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_every_name_is_found() {
        assert!(all().windows(2).all(|two| two[0].name < two[1].name));
        assert!(all().iter().all(|f| lookup(f.name).is_some_and(|found| std::ptr::eq(found, f))));
        assert!(lookup("nope").is_none() && lookup("sum").is_none());
    }

    #[test]
    fn argument_counts_follow_the_signature() {
        for (name, min, max) in [
            ("time", 0, Some(0)),
            ("rate", 1, Some(1)),
            ("hour", 0, Some(1)),
            ("round", 1, Some(2)),
            ("info", 1, Some(2)),
            ("label_join", 3, None),
            ("histogram_quantiles", 3, Some(12)),
        ] {
            let function = lookup(name).expect("known");
            assert_eq!((function.args_min(), function.args_max()), (min, max), "{name}");
        }
    }
}
