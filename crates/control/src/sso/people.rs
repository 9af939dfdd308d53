//! From a provider's statement to a person of ours.

use db::Tx;
use sqlx::{AssertSqlSafe, Executor};

use crate::error::ControlError;
use crate::permissions::Role;
use crate::roles::find_grant;
use crate::sso::Sso;
use crate::sso::error::SsoError;
use crate::sso::mapping::{is_allowed, role};
use crate::sso::provider::Provider;
use crate::tenants::need_active;
use crate::users::{COLUMNS, NewUser, User, UserState, end_access, user_of_row};

const NAME_BYTES_MAX: usize = 100;

/// Whom a provider speaks of.
pub(super) struct Person {
    /// What the provider calls them for good.
    pub(super) subject: String,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) groups: Vec<String>,
}

impl Sso {
    /// The person, made at their first sign-in; later their name and role follow the provider.
    pub(super) async fn admit(
        &self,
        provider: &Provider,
        person: Person,
    ) -> Result<(User, bool), ControlError> {
        let email = person.email.trim().to_lowercase();
        let refused = |message: &str| {
            let email = email.chars().filter(|c| !c.is_control()).take(254).collect();
            SsoError::Person { email, message: message.to_owned() }
        };
        if !is_allowed(&provider.domains, &email) {
            return Err(
                refused("addresses of this domain are not allowed; an administrator can add it").into()
            );
        }
        let Some(role) = role(provider, &person.groups) else {
            return Err(refused("none of your groups has a role here; an administrator can map one").into());
        };
        let control = &self.shared.control;
        let mut tx = control.begin().await?;
        // One at a time, so that two first sign-ins make one person.
        control.lock_tenant(&mut tx, &provider.tenant).await?;
        need_active(&mut tx, &provider.tenant).await?;
        if find_grant(&mut tx, &provider.tenant, role).await?.is_none() {
            return Err(refused(&format!("the role {role:.80?} does not exist any more")).into());
        }
        let name = one_line_name(&person.name, &email);
        let known = find_identity(&mut tx, provider, &person.subject).await?;
        let (user, created) = match known {
            Some(user) => (user, false),
            None => match self.made(&mut tx, provider, &email, &name, role).await? {
                (user, true) => (user, true),
                // An account that was there before belongs to whoever the provider says only where the provider
                // is set up to speak for its address, and only to one person there.
                (_, false) if provider.domains.is_empty() => {
                    let why = "there is an account of this address already; an administrator can name its domain \
                               for the provider";
                    return Err(refused(why).into());
                }
                (user, false) if is_linked(&mut tx, provider, &user).await? => {
                    let why = "the account belongs to somebody else at this provider; an administrator can \
                               remove it";
                    return Err(refused(why).into());
                }
                (user, false) => (user, false),
            },
        };
        if user.state != UserState::Active {
            return Err(refused("the account is disabled; an administrator can enable it").into());
        }
        // Whoever sets a provider up holds what it hands out, and through it becomes nobody who may do more.
        if !provider.covers(&mut tx, &user.role).await? {
            let why = "the account may do more than anyone whom this provider admits; sign in another way";
            return Err(refused(why).into());
        }
        // A tenant is not left without an administrator because a group was renamed.
        let role = match control.refuse_last_admin(&mut tx, &user, Role::parse(role)).await {
            Err(ControlError::LastAdmin { .. }) => user.role.clone(),
            result => result.map(|()| role.to_owned())?,
        };
        let now = control.now();
        if role != user.role {
            end_access(&mut tx, now, &user.id).await?;
        }
        let link = sqlx::query(
            "INSERT INTO sso_identities (provider_id, subject, user_id, created_at, last_used_at) \
             VALUES ($1, $2, $3, $4, $4) \
             ON CONFLICT (provider_id, subject) DO UPDATE SET last_used_at = excluded.last_used_at",
        );
        let link =
            link.bind(provider.id.as_str()).bind(person.subject.as_str()).bind(user.id.as_str()).bind(now);
        tx.execute(link).await?;
        let update = sqlx::query("UPDATE users SET name = $1, role = $2 WHERE id = $3");
        tx.execute(update.bind(name.as_str()).bind(role.as_str()).bind(user.id.as_str())).await?;
        tx.commit().await?;
        Ok((User { name, role, ..user }, created))
    }

    /// The person of this address, made if there is none; whether they were.
    async fn made(
        &self,
        tx: &mut Tx,
        provider: &Provider,
        email: &str,
        name: &str,
        role: &str,
    ) -> Result<(User, bool), ControlError> {
        let new = NewUser { email, name, role };
        match self.shared.control.insert_user(tx, &provider.tenant, new).await {
            Ok(user) => Ok((user, true)),
            Err(ControlError::Exists { .. }) => {
                let statement = format!("SELECT {COLUMNS} FROM users WHERE tenant_id = $1 AND email = $2");
                let row = sqlx::query(AssertSqlSafe(statement)).bind(provider.tenant.as_str()).bind(email);
                Ok((user_of_row(&row.fetch_one(&mut **tx).await?)?, false))
            }
            Err(error) => Err(error),
        }
    }
}

/// The person who signed in as this subject before.
async fn find_identity(
    tx: &mut Tx,
    provider: &Provider,
    subject: &str,
) -> Result<Option<User>, ControlError> {
    let statement = format!(
        "SELECT {COLUMNS} FROM sso_identities JOIN users ON users.id = sso_identities.user_id \
         WHERE provider_id = $1 AND subject = $2"
    );
    let row = sqlx::query(AssertSqlSafe(statement)).bind(provider.id.as_str()).bind(subject);
    row.fetch_optional(&mut **tx).await?.as_ref().map(user_of_row).transpose()
}

/// Whether somebody at the provider signs in as this person.
async fn is_linked(tx: &mut Tx, provider: &Provider, user: &User) -> Result<bool, ControlError> {
    let row = sqlx::query("SELECT 1 FROM sso_identities WHERE provider_id = $1 AND user_id = $2");
    let row = row.bind(provider.id.as_str()).bind(user.id.as_str()).fetch_optional(&mut **tx).await?;
    Ok(row.is_some())
}

/// A name fit to be stored: one line, not too long, never empty.
fn one_line_name(name: &str, email: &str) -> String {
    let mut line: String = name.chars().filter(|c| !c.is_control()).collect();
    line = line.trim().to_owned();
    let name = if line.is_empty() { email } else { &line };
    let end =
        name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= NAME_BYTES_MAX).last();
    name[..end.unwrap_or(0)].trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_one_line_whatever_the_provider_sends() {
        for (name, want) in [
            ("Ada", "Ada"),
            (" Ada\r\nLovelace ", "AdaLovelace"),
            ("", "a@b.c"),
            ("\u{0}", "a@b.c"),
            (&"é".repeat(80), &"é".repeat(50)),
        ] {
            assert_eq!(one_line_name(name, "a@b.c"), want);
        }
    }
}
