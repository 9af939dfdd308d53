//! Which actions are sensitive: they give or take access, end what others may do, or take data away or out. The one
//! list of them: the audit log is narrowed by it, documentation repeats it, and a test carries out every route
//! of it and finds the row.

use control::audit::AuditResult;
use model::record::audit;
use model::{Field, Order, Predicate, Scalar, Test};
use schemars::JsonSchema;
use serde::Serialize;

/// A sensitive action.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SensitiveAction")]
pub(crate) struct Sensitive {
    /// As rows of the audit log name it.
    pub(crate) action: &'static str,
    /// What was done.
    pub(crate) about: &'static str,
    /// Operations of this API that do it; none for what comes with another, or by itself.
    pub(crate) operations: &'static [&'static str],
}

const fn of(action: &'static str, about: &'static str, operations: &'static [&'static str]) -> Sensitive {
    Sensitive { action, about, operations }
}

/// All of them.
pub(crate) const SENSITIVE: &[Sensitive] = &[
    of(
        "session:begin",
        "somebody signed in, or could not",
        &["signIn", "redeemSignInLink", "acceptInvitation", "finishSamlSignIn"],
    ),
    of("session:end", "somebody signed out", &["signOut"]),
    of("session:revoke", "somebody ended sessions of their own", &["endOwnSession", "endOtherSessions"]),
    of("token:issue", "tokens were issued", &["issueToken"]),
    of("token:refresh", "tokens were renewed, or could not be", &[]),
    of("token:revoke", "tokens were ended", &["revokeToken", "endOwnTokens"]),
    of("password:change", "somebody changed their password", &["changePassword"]),
    of("password:forgot", "somebody asked for a link to set a password", &["forgotPassword"]),
    of("password:reset", "a password was set by such a link", &["resetPassword"]),
    of("second_factor:enrol", "an authenticator is being set up", &["enrolSecondFactor"]),
    of("second_factor:confirm", "an authenticator counts from now on", &["confirmSecondFactor"]),
    of("second_factor:disable", "an authenticator counts no more", &["disableSecondFactor"]),
    of("second_factor:recovery_codes", "recovery codes were made anew", &["renewRecoveryCodes"]),
    of("profile:update", "somebody changed their name", &["updateProfile"]),
    of("members:create", "a person was made a member", &["createMember"]),
    of("members:invite", "a person was invited", &["createInvitation"]),
    of("members:uninvite", "an invitation was taken back", &["revokeInvitation"]),
    of("members:join", "a person joined by an invitation or a provider", &[]),
    of("members:role", "a member has another role", &["updateMember"]),
    of("members:state", "a member was disabled or enabled", &["updateMember"]),
    of("members:rename", "a member has another name", &["updateMember"]),
    of("members:delete", "a member was removed", &["deleteMember"]),
    of("members:sign_in_link", "a link to sign in as a member was made", &["createSignInLink"]),
    of("members:reset_second_factor", "a member's second factor was taken away", &["resetSecondFactor"]),
    of("members:end_sessions", "a member was signed out everywhere", &["endMemberSessions"]),
    of("roles:create", "a role was made", &["createRole"]),
    of("roles:update", "a role permits something else", &["replaceRole"]),
    of("roles:delete", "a role was removed", &["deleteRole"]),
    of("teams:create", "a team was made", &["createTeam"]),
    of("teams:rename", "a team has another name", &["renameTeam"]),
    of("teams:delete", "a team was removed", &["deleteTeam"]),
    of("teams:join", "a person was put into a team", &["addTeamMember"]),
    of("teams:leave", "a person was taken out of a team", &["removeTeamMember"]),
    of("projects:create", "a project was made", &["createProject"]),
    of("projects:update", "a project was changed", &["updateProject"]),
    of("projects:delete", "a project was removed", &["deleteProject"]),
    of("keys:create", "a key was made", &["createKey"]),
    of("keys:update", "a key has another name, other scopes or another end", &["updateKey"]),
    of("keys:rotate", "a key was replaced", &["rotateKey"]),
    of("keys:revoke", "a key was ended", &["revokeKey"]),
    of("service_accounts:create", "a service account was made", &["createServiceAccount"]),
    of("service_accounts:update", "a service account was changed", &["updateServiceAccount"]),
    of("service_accounts:delete", "a service account was removed", &["deleteServiceAccount"]),
    of("sso:create", "a provider to sign in with was added", &["createSignInProvider"]),
    of("sso:update", "a provider was changed", &["replaceSignInProvider"]),
    of("sso:delete", "a provider was removed", &["deleteSignInProvider"]),
    of("sso:test", "a provider was asked on trial", &["testSignInProvider"]),
    of("tenants:create", "a tenant was made", &["createTenant"]),
    of("tenants:update", "a tenant has another name or other settings", &["updateTenant"]),
    of("tenants:limit", "a tenant has other limits", &["setTenantLimits"]),
    of("tenants:suspend", "a tenant was suspended", &["suspendTenant"]),
    of("tenants:activate", "a suspension ended", &["activateTenant"]),
    of("tenants:delete", "a tenant was removed", &["deleteTenant"]),
    of("tenants:export", "everything of a tenant was exported", &["exportTenant"]),
    of("objects:apply", "a set of files was applied", &["applyObjects"]),
    of("objects:create", "a file made an object, a role or the like", &[]),
    of("objects:change", "a file changed one", &[]),
    of("objects:adopt", "one belongs to a file from now on", &[]),
    of("objects:release", "one belongs to no file any more", &[]),
    of("objects:delete", "a file removed one", &[]),
    of(
        "objects:write",
        "a saved object was changed, or a pipeline, rule, channel, route or check tried",
        &[
            "putObject",
            "deleteObject",
            "previewPipeline",
            "createAlertRule",
            "replaceAlertRule",
            "deleteAlertRule",
            "backtestAlertRule",
            "testChannel",
            "previewRoutes",
            "createHealthCheck",
            "replaceHealthCheck",
            "deleteHealthCheck",
            "testHealthCheck",
            "runHealthCheck",
            "saveRuleFile",
            "deleteRuleFile",
            "saveAlertmanagerFile",
            "deleteAlertmanagerFile",
        ],
    ),
    of(
        "alerts:respond",
        "an alert or incident was worked on or ended, a runbook's step asked for or let, or people are not told of some",
        &[
            "acknowledgeAlertEvent",
            "unacknowledgeAlertEvent",
            "resolveAlertEvent",
            "createSilence",
            "changeSilence",
            "endSilence",
            "postAlertmanagerSilence",
            "postAlertmanagerSilenceBelowAlertmanager",
            "deleteAlertmanagerSilence",
            "deleteAlertmanagerSilenceBelowAlertmanager",
            "previewSilence",
            "createIncident",
            "updateIncident",
            "acknowledgeIncident",
            "resolveIncident",
            "reopenIncident",
            "addIncidentNote",
            "assignIncident",
            "joinIncidentEvents",
            "linkIncidentRunbook",
            "putPostmortem",
            "tickRunbookStep",
            "runRunbookStep",
            "approveRemediation",
            "refuseRemediation",
        ],
    ),
    of(
        "status_pages:subscribe",
        "somebody outside asked to be told of a status page, confirmed it, or left",
        &["subscribeToStatusPage", "confirmStatusPageSubscription", "leaveStatusPage"],
    ),
    of(
        "data:delete",
        "telemetry was deleted",
        &[
            "deleteLogs",
            "deleteSpans",
            "deleteEvents",
            "deleteSeries",
            "deleteSeriesByPut",
            "deleteSeriesBelowPrometheus",
            "deleteSeriesByPutBelowPrometheus",
            "cleanTombstones",
            "cleanTombstonesByPut",
            "cleanTombstonesBelowPrometheus",
            "cleanTombstonesByPutBelowPrometheus",
        ],
    ),
    of(
        "settings:manage",
        "the configuration was read anew, or a service started anew",
        &["reload", "reloadByPut", "restartService"],
    ),
    of("audit:export", "the audit log was exported", &["exportAuditEntries"]),
    of("audit:overflow", "rows of the audit log found no room", &[]),
    of("security:burst", "many refusals from one address", &[]),
];

/// Rows of these actions, and whatever was refused: requests for another tenant, or for more than the caller may.
pub(super) fn predicate() -> Predicate {
    let is = |column: usize, text: &str| {
        let equal = Test::Compare(Order::Equal, Scalar::Text(text.into()));
        Predicate::Test(Field::Fixed(column as u8), equal)
    };
    let refused = is(audit::RESULT, AuditResult::Refused.as_str());
    SENSITIVE.iter().fold(refused, |any, one| any.or(is(audit::ACTION, one.action)))
}
