//! What a list of people says of each beside who they are.

use std::collections::HashMap;

use model::TenantId;
use sqlx::Row;

use crate::control::Control;
use crate::error::ControlError;
use crate::users::User;

/// What is known of a person beside their account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberFacts {
    /// True when a code is asked for beside their password.
    pub second_factor: bool,
    /// Names of their teams, in order.
    pub teams: Vec<String>,
}

impl Control {
    /// The facts of `users` by identifier. They are of one tenant and in order of email, as lists are, so that
    /// two questions suffice however many they are.
    pub async fn member_facts(
        &self,
        tenant: &TenantId,
        users: &[User],
    ) -> Result<HashMap<String, MemberFacts>, ControlError> {
        let mut facts: HashMap<String, MemberFacts> =
            users.iter().map(|user| (user.id.clone(), MemberFacts::default())).collect();
        let (Some(first), Some(last)) = (users.first(), users.last()) else { return Ok(facts) };
        let mut connection = self.read().await?;
        let factors = sqlx::query(
            "SELECT users.id FROM users JOIN second_factors ON second_factors.user_id = users.id \
             WHERE users.tenant_id = $1 AND users.email >= $2 AND users.email <= $3 \
             AND second_factors.confirmed_at IS NOT NULL",
        );
        let factors = factors.bind(tenant.as_str()).bind(first.email.as_str()).bind(last.email.as_str());
        for row in factors.fetch_all(&mut *connection).await? {
            if let Some(facts) = facts.get_mut(row.try_get::<&str, _>(0)?) {
                facts.second_factor = true;
            }
        }
        let teams = sqlx::query(
            "SELECT users.id, teams.name FROM users JOIN team_members ON team_members.user_id = users.id \
             JOIN teams ON teams.id = team_members.team_id \
             WHERE users.tenant_id = $1 AND users.email >= $2 AND users.email <= $3 ORDER BY teams.name",
        );
        let teams = teams.bind(tenant.as_str()).bind(first.email.as_str()).bind(last.email.as_str());
        for row in teams.fetch_all(&mut *connection).await? {
            if let Some(facts) = facts.get_mut(row.try_get::<&str, _>(0)?) {
                facts.teams.push(row.try_get(1)?);
            }
        }
        Ok(facts)
    }
}
