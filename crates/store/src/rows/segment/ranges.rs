//! Slices that a filter rules out by the least and the greatest number of a column.

use std::cmp::Ordering;

use model::{Order, Scalar};
use parquet::file::statistics::Statistics;

use super::group::Group;
use crate::rows::chunk::{Scope, ValueKind};
use crate::rows::filter::{Node, Target};
use crate::rows::test::Tester;
use crate::rows::value::Val;

impl Group {
    /// False where no row of the slice can pass, as far as the numbers of its columns tell.
    pub(super) fn may_have(&self, node: &Node) -> bool {
        match node {
            Node::All(parts) => parts.iter().all(|part| self.may_have(part)),
            Node::Any(parts) => parts.iter().any(|part| self.may_have(part)),
            Node::Not(_) => true,
            Node::Test(target, tester) => match &**tester {
                Tester::Compare(order, wanted @ (Scalar::Int(_) | Scalar::Double(_))) => {
                    let bounds = self.bounds(target);
                    bounds.is_none_or(|(least, greatest)| {
                        may_hold(*order, least.order(wanted), greatest.order(wanted))
                    })
                }
                _ => true,
            },
        }
    }

    /// The least and the greatest number that a test can meet; `None` where it may meet something else.
    fn bounds(&self, target: &Target) -> Option<(Val<'static>, Val<'static>)> {
        let column = match target {
            Target::Fixed(at) => *at,
            Target::Attr { key, record, resource } => {
                let asked = [(Scope::Record, *record), (Scope::Resource, *resource)];
                let mut asked = asked.into_iter().filter(|(_, asked)| *asked).map(|(scope, _)| scope);
                let scope = asked.find(|scope| self.attr_of(*scope, key).is_some())?;
                let is_elsewhere = asked.any(|other| self.attr_of(other, key).is_some())
                    || (*record && self.overflow_may_have(Some((Scope::Record, key))))
                    || (*resource && self.overflow_may_have(Some((Scope::Resource, key))));
                let (at, kind) = self.attr_of(scope, key)?;
                if is_elsewhere || !matches!(kind, ValueKind::Int | ValueKind::Double) {
                    return None;
                }
                self.number_of_attr(at)
            }
        };
        let group = self.table.arrow.metadata().row_groups().get(self.index)?;
        match group.columns().get(column)?.statistics()? {
            Statistics::Int64(found) => Some((Val::Int(*found.min_opt()?), Val::Int(*found.max_opt()?))),
            Statistics::Double(found) => {
                Some((Val::Double(*found.min_opt()?), Val::Double(*found.max_opt()?)))
            }
            _ => None,
        }
    }
}

/// Whether a number between two can pass, given how these stand to what is wanted.
fn may_hold(order: Order, least: Option<Ordering>, greatest: Option<Ordering>) -> bool {
    let (Some(least), Some(greatest)) = (least, greatest) else { return true };
    match order {
        Order::Equal => least.is_le() && greatest.is_ge(),
        Order::Less => least.is_lt(),
        Order::LessOrEqual => least.is_le(),
        Order::Greater => greatest.is_gt(),
        Order::GreaterOrEqual => greatest.is_ge(),
    }
}
