//! From what people write to questions and a test.

mod fields; // which type takes which fields
mod leaf; // conditions that ask something themselves

use super::condition::Condition;
use super::judge::Test;
use super::question::Question;
use super::{History, RuleType};

/// Conditions inside each other.
const DEPTH_MAX: usize = 8;
/// Questions of one rule.
const QUESTIONS_MAX: usize = 32;
/// Bytes of one query.
pub(super) const QUERY_BYTES_MAX: usize = 16 << 10;
/// Parts, thresholds and labels of one list.
pub(super) const LIST_MAX: usize = 32;

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// Where, as in `condition.thresholds[1].value`.
    pub field: String,
    /// What it is and how to mend it.
    pub message: String,
}

impl Invalid {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// A question with its place in the rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// What is asked.
    pub question: Question,
    /// The past that is wanted beside the present value.
    pub history: Option<History>,
    /// Where it stands, as in `condition.all[0].query`.
    pub field: String,
}

/// A condition, ready to be asked and judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// What is asked.
    pub questions: Vec<Asked>,
    /// When the answers are a breach.
    pub test: Test,
}

impl Compiled {
    /// A rule that fires for each value of an expression, as Prometheus' do.
    pub fn present(expression: String) -> Self {
        let question = Question::PromQl(expression);
        let asked = Asked { question, history: None, field: "expr".to_owned() };
        Self { questions: vec![asked], test: Test::Present(0) }
    }

    /// Compiles a rule's condition. Texts of queries are not parsed here, since this crate knows no query language.
    pub fn of(kind: RuleType, condition: &Condition) -> Result<Self, Invalid> {
        let mut compiler = Compiler { questions: Vec::new() };
        let test = compiler.typed(kind, condition)?;
        Ok(Self { questions: compiler.questions, test })
    }
}

/// Collects the questions of a rule.
struct Compiler {
    questions: Vec<Asked>,
}

impl Compiler {
    fn typed(&mut self, kind: RuleType, condition: &Condition) -> Result<Test, Invalid> {
        let at = "condition";
        fields::check(kind, condition)?;
        match kind {
            RuleType::Threshold => self.compare(condition, at, true),
            RuleType::Anomaly => self.anomaly(condition, at),
            RuleType::ErrorRate => self.error_rate(condition, at),
            RuleType::Performance => self.performance(condition, at),
            RuleType::Downtime => self.downtime(condition, at),
            RuleType::Absence => self.absence(condition, at),
            RuleType::Slo => self.burn(condition, at),
            RuleType::Composite | RuleType::Custom => self.part(condition, at, 0),
        }
    }

    /// A condition without a type: what it holds says what it is.
    fn part(&mut self, condition: &Condition, at: &str, depth: usize) -> Result<Test, Invalid> {
        if depth > DEPTH_MAX {
            return Err(Invalid::new(
                at,
                format!("conditions are inside each other more than {DEPTH_MAX} times"),
            ));
        }
        let lists = [("all", &condition.all), ("any", &condition.any)];
        let groups = usize::from(!condition.all.is_empty())
            + usize::from(!condition.any.is_empty())
            + usize::from(condition.not.is_some());
        if groups > 1 {
            return Err(Invalid::new(at, "has more than one of all, any and not: put one inside the other"));
        }
        if groups == 1 {
            fields::check_group(condition, at)?;
        }
        for (name, parts) in lists {
            if parts.is_empty() {
                continue;
            }
            if parts.len() > LIST_MAX {
                return Err(Invalid::new(format!("{at}.{name}"), format!("has more than {LIST_MAX} parts")));
            }
            let parts = parts.iter().enumerate();
            let tests = parts.map(|(n, part)| self.part(part, &format!("{at}.{name}[{n}]"), depth + 1));
            let tests = tests.collect::<Result<Vec<_>, _>>()?;
            return Ok(if name == "all" { Test::All(tests) } else { Test::Any(tests) });
        }
        if let Some(inner) = &condition.not {
            return Ok(Test::Not(Box::new(self.part(inner, &format!("{at}.not"), depth + 1)?)));
        }
        if condition.rule.is_some() {
            return self.other_rule(condition, at);
        }
        if condition.check.is_some() {
            return self.downtime(condition, at);
        }
        if condition.objective.is_some() {
            return self.burn(condition, at);
        }
        self.compare(condition, at, false)
    }

    /// Adds a question and answers its place.
    fn ask(&mut self, question: Question, history: Option<History>, field: String) -> Result<usize, Invalid> {
        if self.questions.len() >= QUESTIONS_MAX {
            return Err(Invalid::new(field, format!("a rule asks at most {QUESTIONS_MAX} questions")));
        }
        self.questions.push(Asked { question, history, field });
        Ok(self.questions.len() - 1)
    }
}

#[cfg(test)]
mod tests;
