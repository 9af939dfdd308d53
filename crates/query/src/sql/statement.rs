//! What a statement may be, which names it uses, and what `attr."k"`, `resource."k"` and dotted names mean in it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, Statement as SqlStatement, TableAlias, TableFactor, VisitMut,
    VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;

use crate::error::QueryFault;

/// Longest statement that is read, bytes.
pub(super) const BYTES_MAX: usize = 64 << 10;
/// How deep expressions and queries may nest.
const DEPTH_MAX: usize = 50;
/// Names of columns that a statement may use.
const NAMES_MAX: usize = 1000;

/// Reads one statement and refuses all that is not a question.
pub(super) fn parse(sql: &str) -> Result<Statement, QueryFault> {
    if sql.len() > BYTES_MAX {
        return Err(invalid(format!("a statement may have {BYTES_MAX} bytes, this has {}", sql.len())));
    }
    let parsed = DFParserBuilder::new(sql)
        .with_dialect(&GenericDialect {})
        .with_recursion_limit(DEPTH_MAX)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| invalid(super::error::message(&error)))?;
    let mut statements = parsed.into_iter();
    let Some(statement) = statements.next() else {
        return Err(invalid("the statement is empty: write SELECT …".into()));
    };
    if statements.next().is_some() {
        return Err(invalid("one statement at a time: remove all behind the first `;`".into()));
    }
    check(&statement)?;
    Ok(statement)
}

fn check(statement: &Statement) -> Result<(), QueryFault> {
    match statement {
        Statement::Statement(statement) => check_sql(statement),
        Statement::Explain(explain) => check(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => Err(refused()),
    }
}

fn check_sql(statement: &SqlStatement) -> Result<(), QueryFault> {
    match statement {
        SqlStatement::Query(_)
        | SqlStatement::ExplainTable { .. }
        | SqlStatement::ShowTables { .. }
        | SqlStatement::ShowColumns { .. } => Ok(()),
        SqlStatement::Explain { statement, .. } => check_sql(statement),
        _ => Err(refused()),
    }
}

fn refused() -> QueryFault {
    invalid("only SELECT, WITH, EXPLAIN, SHOW TABLES, SHOW COLUMNS and DESCRIBE are possible here".into())
}

fn invalid(message: String) -> QueryFault {
    QueryFault::Invalid(message)
}

/// The names that a statement uses.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names of tables, as looked up: lower case where they are not quoted.
    pub(super) tables: BTreeSet<String>,
    /// Columns, likewise, each with how it was written; without those that the statement defines.
    pub(super) columns: BTreeSet<(String, String)>,
    /// What the statement defines itself: aliases and common table expressions.
    defined: BTreeSet<String>,
}

/// The names that a statement uses, with `attr."k"` and `resource."k"` as the one name `attr.k`.
pub(super) fn names(statement: &mut Statement) -> Result<Names, QueryFault> {
    let mut collect = Collect::default();
    let _ = visit(statement, &mut collect);
    let mut names = collect.names;
    for parts in collect.compounds {
        if let Some(ident) = names.column_of(&parts) {
            names.columns.insert((folded(&ident), ident.value));
        }
    }
    names.columns.retain(|(name, _)| !names.defined.contains(name));
    if names.columns.len() > NAMES_MAX {
        return Err(invalid(format!("the statement names more than {NAMES_MAX} columns: name fewer")));
    }
    Ok(names)
}

impl Names {
    /// The column of a name in parts: behind a table's name what follows it, else all of it with its dots.
    fn column_of(&self, parts: &[Ident]) -> Option<Ident> {
        let is_relation = parts.len() > 1 && parts.first().is_some_and(|first| self.is_relation(first));
        let rest = if is_relation { &parts[1..] } else { parts };
        match rest {
            [] => None,
            [one] => Some(one.clone()),
            // With quotes in it, it is the engine's to understand.
            several if several.iter().all(|part| part.quote_style.is_none()) => Some(dotted(several)),
            several => several.last().cloned(),
        }
    }

    fn is_relation(&self, ident: &Ident) -> bool {
        let name = folded(ident);
        self.tables.contains(&name) || self.defined.contains(&name)
    }

    /// True when the statement asks a table.
    pub(super) fn uses(&self, table: &str) -> bool {
        self.tables.contains(table) || self.tables.contains(&table.to_ascii_lowercase())
    }
}

/// Gives names their quotes: dotted names that are keys become one name, and a name with capitals that is only
/// known with them keeps them. `known` tells whether a table has a column.
pub(super) fn settle(statement: &mut Statement, names: &Names, known: &dyn Fn(&str) -> bool) {
    let _ = visit(statement, &mut Settle { names, known });
}

fn visit<V: VisitorMut>(statement: &mut Statement, visitor: &mut V) -> ControlFlow<V::Break> {
    match statement {
        Statement::Statement(statement) => statement.visit(visitor),
        Statement::Explain(explain) => visit(&mut explain.statement, visitor),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => {
            ControlFlow::Continue(())
        }
    }
}

/// A name as it is looked up.
fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() }
}

#[derive(Default)]
struct Collect {
    names: Names,
    /// Names in parts, of which it turns out at the end whether they begin with a table.
    compounds: Vec<Vec<Ident>>,
}

impl Collect {
    fn define(&mut self, ident: &Ident) {
        self.names.defined.insert(folded(ident));
    }

    fn define_alias(&mut self, alias: Option<&TableAlias>) {
        if let Some(alias) = alias {
            self.define(&alias.name);
            alias.columns.iter().for_each(|column| self.define(&column.name));
        }
    }
}

impl VisitorMut for Collect {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.define_alias(Some(&table.alias));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.define(alias);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => self.define_alias(alias.as_ref()),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(
        &mut self,
        relation: &mut datafusion::sql::sqlparser::ast::ObjectName,
    ) -> ControlFlow<()> {
        if let Some(ident) = relation.0.last().and_then(|part| part.as_ident()) {
            self.names.tables.insert(folded(ident));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => {
                self.names.columns.insert((folded(ident), ident.value.clone()));
            }
            Expr::CompoundIdentifier(parts) => {
                join_scoped(parts);
                self.compounds.push(parts.clone());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Parts of a name as one, in quotes.
fn dotted(parts: &[Ident]) -> Ident {
    Ident::with_quote('"', parts.iter().map(folded).collect::<Vec<_>>().join("."))
}

/// Makes one name of `attr."k"` and `resource."k"`, also behind a table's name.
fn join_scoped(parts: &mut Vec<Ident>) {
    let is_scope = |ident: &Ident| {
        ident.quote_style.is_none()
            && (ident.value.eq_ignore_ascii_case("attr") || ident.value.eq_ignore_ascii_case("resource"))
    };
    let scope = match parts.as_slice() {
        [scope, _, ..] if is_scope(scope) => 0,
        [_, scope, _, ..] if is_scope(scope) => 1,
        _ => return,
    };
    let joined = dotted(&parts[scope..]);
    parts.truncate(scope);
    parts.push(joined);
}

struct Settle<'a> {
    names: &'a Names,
    known: &'a dyn Fn(&str) -> bool,
}

impl Settle<'_> {
    /// Quotes a name that is known only with its capitals.
    fn keep_case(&self, ident: &mut Ident) {
        let lower = ident.value.to_ascii_lowercase();
        let needs_case = ident.quote_style.is_none()
            && lower != ident.value
            && !self.names.defined.contains(&lower)
            && !(self.known)(&lower)
            && (self.known)(&ident.value);
        if needs_case {
            ident.quote_style = Some('"');
        }
    }
}

impl VisitorMut for Settle<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.keep_case(ident),
            Expr::CompoundIdentifier(parts) => {
                let of_table = parts.first().is_some_and(|first| self.names.is_relation(first));
                let from = usize::from(of_table);
                if parts.len() - from > 1 && parts[from..].iter().all(|part| part.quote_style.is_none()) {
                    let joined = dotted(&parts[from..]);
                    parts.truncate(from);
                    parts.push(joined);
                }
                if let Some(last) = parts.last_mut() {
                    self.keep_case(last);
                }
                if let [single] = parts.as_slice() {
                    *expr = Expr::Identifier(single.clone());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
