//! What someone may do: permissions, the roles that come with the product, and whoever asks.

use std::fmt;

use model::TenantId;
use serde_json::Value;

use crate::error::ControlError;

/// One thing someone may do, spelled `area:verb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Permission {
    /// Ask for telemetry.
    TelemetryRead,
    /// Send telemetry.
    TelemetryWrite,
    /// See dashboards, rules and every other saved object.
    ObjectsRead,
    /// Change them.
    ObjectsWrite,
    /// Acknowledge and silence alerts, and work on incidents.
    AlertsRespond,
    /// See people, teams, projects and roles.
    MembersRead,
    /// Invite, change and remove them.
    MembersManage,
    /// Create and revoke API keys and service accounts.
    KeysManage,
    /// See the tenant's settings and how much it uses.
    SettingsRead,
    /// Change the settings, single sign-on included.
    SettingsManage,
    /// Read the audit log.
    AuditRead,
    /// Delete telemetry and export everything there is.
    DataDelete,
    /// Create, change and delete tenants.
    PlatformManage,
}

impl Permission {
    /// Every permission, in the order of its bits.
    pub const ALL: [Self; 13] = [
        Self::TelemetryRead,
        Self::TelemetryWrite,
        Self::ObjectsRead,
        Self::ObjectsWrite,
        Self::AlertsRespond,
        Self::MembersRead,
        Self::MembersManage,
        Self::KeysManage,
        Self::SettingsRead,
        Self::SettingsManage,
        Self::AuditRead,
        Self::DataDelete,
        Self::PlatformManage,
    ];

    /// The spelling in the API, in tokens and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TelemetryRead => "telemetry:read",
            Self::TelemetryWrite => "telemetry:write",
            Self::ObjectsRead => "objects:read",
            Self::ObjectsWrite => "objects:write",
            Self::AlertsRespond => "alerts:respond",
            Self::MembersRead => "members:read",
            Self::MembersManage => "members:manage",
            Self::KeysManage => "keys:manage",
            Self::SettingsRead => "settings:read",
            Self::SettingsManage => "settings:manage",
            Self::AuditRead => "audit:read",
            Self::DataDelete => "data:delete",
            Self::PlatformManage => "platform:manage",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == text)
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u32);

impl Permissions {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Everything, other tenants included.
    pub const ALL: Self = Self::of(&Permission::ALL);

    /// Everything within one tenant.
    pub const TENANT: Self = Self(Self::ALL.0 & !Self::of(&[Permission::PlatformManage]).0);

    /// The given ones.
    pub const fn of(permissions: &[Permission]) -> Self {
        // `for` does not run in a const.
        let (mut bits, mut n) = (0, 0);
        while n < permissions.len() {
            bits |= 1 << permissions[n] as u32;
            n += 1;
        }
        Self(bits)
    }

    /// These and those.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True when `permission` is among them.
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u32) != 0
    }

    /// True when all of `others` are among them.
    pub const fn cover(self, others: Self) -> bool {
        others.0 & !self.0 == 0
    }

    /// Those of `others` that are not among them.
    pub const fn missing(self, others: Self) -> Self {
        Self(others.0 & !self.0)
    }

    /// True without any.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One by one.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.has(*permission))
    }

    /// The spellings, in the order of [`Permission::ALL`].
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(Permission::as_str).collect()
    }

    /// Reads spellings. The error names the first that is none.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, ControlError> {
        names.into_iter().try_fold(Self::NONE, |all, name| match Permission::parse(name) {
            Some(permission) => Ok(all.and(Self::of(&[permission]))),
            None => {
                let name: String = name.chars().take(40).collect();
                let message = format!("{name:?} is no permission; use {}", Self::ALL.names().join(", "));
                Err(ControlError::Invalid { field: "permissions", message })
            }
        })
    }

    pub(crate) fn to_json(self) -> String {
        Value::from(self.names()).to_string()
    }

    pub(crate) fn from_json(what: &'static str, text: &str) -> Result<Self, ControlError> {
        let damaged = |message: String| ControlError::Damaged { what, message };
        let names: Value = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        let names = names.as_array().ok_or_else(|| damaged("is not a list".to_owned()))?;
        // A permission of a newer version permits nothing this version knows.
        let known = names.iter().filter_map(|name| Permission::parse(name.as_str()?));
        Ok(known.fold(Self::NONE, |all, permission| all.and(Self::of(&[permission]))))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

const VIEWER: Permissions = Permissions::of(&[
    Permission::TelemetryRead,
    Permission::ObjectsRead,
    Permission::MembersRead,
    Permission::SettingsRead,
]);

/// A role that every tenant has. A person carries the name of one of these or of a role of their tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sees everything but the audit log.
    Viewer,
    /// Responds to alerts, too.
    Responder,
    /// Changes saved objects and sends telemetry, too.
    Editor,
    /// May do everything within the tenant.
    Admin,
    /// May do everything, other tenants included.
    PlatformAdmin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] =
        [Self::Viewer, Self::Responder, Self::Editor, Self::Admin, Self::PlatformAdmin];

    /// The spelling in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Responder => "responder",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::PlatformAdmin => "platform_admin",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// What it permits.
    pub const fn permissions(self) -> Permissions {
        match self {
            Self::Viewer => VIEWER,
            Self::Responder => VIEWER.and(Permissions::of(&[Permission::AlertsRespond])),
            Self::Editor => VIEWER.and(Permissions::of(&[
                Permission::AlertsRespond,
                Permission::TelemetryWrite,
                Permission::ObjectsWrite,
            ])),
            Self::Admin => Permissions::TENANT,
            Self::PlatformAdmin => Permissions::ALL,
        }
    }
}

/// What kind of caller it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// A person.
    User,
    /// An API key of nobody in particular.
    Key,
    /// A program with a role of its own.
    ServiceAccount,
    /// The server itself, or whoever runs its commands on its machine.
    System,
}

impl ActorKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::User, Self::Key, Self::ServiceAccount, Self::System];

    /// The spelling in the API and in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Key => "key",
            Self::ServiceAccount => "service_account",
            Self::System => "system",
        }
    }
}

/// Who asks, as the audit log names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// What kind of caller.
    pub kind: ActorKind,
    /// Identifier of the person, the key or the service account.
    pub id: String,
    /// What people call them: the email of a person, the name of the others.
    pub name: String,
}

/// Whoever asks, however they proved it: one type for keys, sessions and tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Whose data they reach.
    pub tenant: TenantId,
    /// Who they are.
    pub who: Actor,
    /// The key they showed, if it was one.
    pub key_id: Option<String>,
    /// What they may do.
    pub permissions: Permissions,
    /// Which telemetry they see, as a label selector; `None` sees all of the tenant's.
    pub selector: Option<String>,
}

impl Principal {
    /// Whoever runs the program's own commands: may do everything everywhere.
    pub fn system() -> Self {
        let name = "system".to_owned();
        let who = Actor { kind: ActorKind::System, id: name.clone(), name };
        Self {
            tenant: TenantId::default_tenant(),
            who,
            key_id: None,
            permissions: Permissions::ALL,
            selector: None,
        }
    }

    /// True when they may do it.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.has(permission)
    }

    /// Refuses those who lack a permission.
    pub fn need(&self, permission: Permission) -> Result<(), ControlError> {
        if self.may(permission) {
            return Ok(());
        }
        let message = format!("this needs the permission {}", permission.as_str());
        Err(ControlError::Forbidden { message })
    }

    /// Refuses those who lack a permission, or belong to another tenant and do not manage the platform.
    pub fn need_in(&self, tenant: &TenantId, permission: Permission) -> Result<(), ControlError> {
        self.need(permission)?;
        if self.tenant == *tenant { Ok(()) } else { self.need(Permission::PlatformManage) }
    }

    /// The identifier of the person who asks; empty for anybody else.
    pub(crate) fn user_id(&self) -> &str {
        if self.who.kind == ActorKind::User { &self.who.id } else { "" }
    }

    /// Nobody hands out, or takes away, more than they have: neither a permission they lack nor a wider
    /// view than their own selector gives them.
    pub fn need_cover(&self, granted: Permissions, selector: Option<&str>) -> Result<(), ControlError> {
        let missing = self.permissions.missing(granted);
        if !missing.is_empty() {
            let message =
                format!("this takes permissions you do not have yourself: {}", missing.names().join(", "));
            return Err(ControlError::Forbidden { message });
        }
        match self.selector.as_deref() {
            Some(own) if selector != Some(own) => {
                let message =
                    format!("your role sees only {own}, so what you grant must carry that selector");
                Err(ControlError::Forbidden { message })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_roles_permit_what_the_table_says() {
        for (role, want) in [
            (Role::Viewer, "telemetry:read objects:read members:read settings:read"),
            (Role::Responder, "telemetry:read objects:read alerts:respond members:read settings:read"),
            (
                Role::Editor,
                "telemetry:read telemetry:write objects:read objects:write alerts:respond members:read settings:read",
            ),
            (
                Role::Admin,
                "telemetry:read telemetry:write objects:read objects:write alerts:respond members:read \
                 members:manage keys:manage settings:read settings:manage audit:read data:delete",
            ),
        ] {
            assert_eq!(role.permissions().names().join(" "), want, "{role:?}");
        }
        assert_eq!(Role::PlatformAdmin.permissions(), Permissions::ALL);
        assert!(Permissions::ALL.cover(Permissions::TENANT) && !Permissions::TENANT.cover(Permissions::ALL));
    }

    #[test]
    fn spellings_read_back_and_unknown_ones_are_named() {
        assert!(Permission::ALL.into_iter().all(|p| Permission::parse(p.as_str()) == Some(p)));
        assert_eq!(Permission::ALL.map(|p| p as usize), std::array::from_fn(|n| n));
        assert!(Role::ALL.into_iter().all(|role| Role::parse(role.as_str()) == Some(role)));
        let error = Permissions::parse(["telemetry:read", "telemetry:eat"]).unwrap_err().to_string();
        assert!(error.starts_with("permissions: \"telemetry:eat\" is no permission; use telemetry:read, "));
        for set in [Permissions::NONE, VIEWER, Permissions::ALL] {
            assert_eq!(Permissions::from_json("x", &set.to_json()).unwrap(), set);
        }
        assert_eq!(Permissions::from_json("x", "[\"moon:walk\"]").unwrap(), Permissions::NONE);
        assert!(Permissions::from_json("x", "{}").is_err() && Permissions::from_json("x", "").is_err());
    }

    #[test]
    fn nobody_grants_what_they_do_not_hold() {
        let mut by = Principal { permissions: Role::Admin.permissions(), ..Principal::system() };
        by.need_cover(Role::Editor.permissions(), None).unwrap();
        let error = by.need_cover(Permissions::ALL, None).unwrap_err().to_string();
        assert_eq!(error, "this takes permissions you do not have yourself: platform:manage");
        by.selector = Some("{team=\"a\"}".to_owned());
        by.need_cover(VIEWER, Some("{team=\"a\"}")).unwrap();
        assert!(by.need_cover(VIEWER, None).is_err() && by.need_cover(VIEWER, Some("{}")).is_err());
        assert!(by.need_in(&TenantId::new("other").unwrap(), Permission::MembersRead).is_err());
    }
}
