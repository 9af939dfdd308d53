//! From saved objects to rules, channels and routes. What does not read is left out and told in the log: one bad object
//! must not silence the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use alert::engine::{Group, Rule, Setup};
use alert::escalation::EscalationSpec;
use alert::notify::{ChannelFault, ChannelSpec};
use alert::oncall::{Schedule, ScheduleSpec};
use alert::routing::{
    InhibitSpec, NamedRoute, ObjectsSpec, Period, RouteSpec, TimeInterval, TimeIntervalSpec,
};
use alert::rule::{ChannelRef, Question, RuleSpec};
use alert::runbook::RunbookSpec;
use alert::status::StatusPageSpec;
use control::ObjectKind;
use model::TenantId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ask::signal_of;
use crate::app::SharedApp;
use crate::error::Fault;
use crate::outbound::Policy;

/// Rules of one tenant.
const RULES_MAX: usize = 10_000;

/// What a tenant's objects say.
pub(super) struct Read {
    pub(super) setup: Setup,
    pub(super) rules: Vec<Rule>,
    pub(super) groups: Vec<Group>,
    pub(super) file: Option<Arc<super::files::Alertmanager>>,
}

/// A saved time interval.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedInterval {
    #[serde(alias = "timeIntervals")]
    time_intervals: Vec<TimeIntervalSpec>,
}

/// Reads a tenant's objects.
pub(super) async fn read(app: &SharedApp, tenant: &TenantId) -> Result<Read, Fault> {
    let external_url = external_url(app);
    let mut receivers = BTreeMap::new();
    for (name, spec) in all::<ChannelSpec>(app, tenant, ObjectKind::Channel).await? {
        receivers.insert(name.clone(), vec![(name, Arc::new(spec))]);
    }
    let people = people(app, tenant).await?;
    let mut routes = Vec::new();
    let mut rules = Vec::new();
    for (name, spec) in all::<RuleSpec>(app, tenant, ObjectKind::Rule).await? {
        if rules.len() >= RULES_MAX {
            tracing::warn!(%tenant, "there are more than {RULES_MAX} rules: the rest is not evaluated");
            break;
        }
        if let Some(route) = own_route(&name, &spec, &mut receivers, &people.escalations) {
            routes.push(NamedRoute { name: format!("rule {name}"), spec: route });
        }
        if !spec.is_active {
            continue;
        }
        match Rule::of(&name, &spec, &external_url) {
            Ok(rule) => rules.push(rule),
            Err(error) => tracing::warn!(%tenant, rule = name, %error, "a rule is not evaluated"),
        }
    }
    for (name, spec) in all::<RouteSpec>(app, tenant, ObjectKind::Route).await? {
        routes.push(NamedRoute { name, spec });
    }
    let default_channels = default_channels(app, tenant, &mut receivers);
    let inhibitions = all::<InhibitSpec>(app, tenant, ObjectKind::Inhibition).await?;
    let intervals = all::<SavedInterval>(app, tenant, ObjectKind::TimeInterval).await?;
    let objects = ObjectsSpec {
        default_channels,
        routes,
        inhibitions: inhibitions.into_iter().collect(),
        intervals: intervals.into_iter().map(|(name, saved)| (name, saved.time_intervals)).collect(),
        channels: receivers.keys().cloned().collect(),
        escalations: people.escalations.keys().cloned().collect(),
    };
    let mut routing = routing(tenant, objects)?;
    let file = super::files::alertmanager(app, tenant).await?;
    if let Some(file) = &file {
        let own = std::mem::take(&mut receivers);
        receivers.clone_from(&file.receivers);
        for (name, channels) in own {
            let name = if receivers.contains_key(&name) { renamed(&name) } else { name };
            receivers.insert(name, channels);
        }
        routing = file.file.routing.clone().beside(routing, &renamed);
    }
    let groups = super::files::groups(app, tenant, RULES_MAX.saturating_sub(rules.len())).await?;
    let routing = Arc::new(routing);
    let People { escalations, schedules, runbooks } = people;
    let setup = Setup { routing, receivers, external_url, escalations, schedules, runbooks };
    Ok(Read { setup, rules, groups, file })
}

/// Who is called, and what they do.
struct People {
    escalations: BTreeMap<String, Arc<EscalationSpec>>,
    schedules: BTreeMap<String, Arc<Schedule>>,
    runbooks: BTreeMap<String, Arc<RunbookSpec>>,
}

async fn people(app: &SharedApp, tenant: &TenantId) -> Result<People, Fault> {
    let mut schedules = BTreeMap::new();
    for (name, spec) in all::<ScheduleSpec>(app, tenant, ObjectKind::Schedule).await? {
        match Schedule::new(&spec) {
            Ok(schedule) => drop(schedules.insert(name, Arc::new(schedule))),
            Err(error) => tracing::warn!(%tenant, schedule = name, %error, "a schedule is left out"),
        }
    }
    let escalations = all::<EscalationSpec>(app, tenant, ObjectKind::Escalation).await?.into_iter();
    let runbooks = all::<RunbookSpec>(app, tenant, ObjectKind::Runbook).await?.into_iter();
    Ok(People {
        escalations: escalations.map(|(name, spec)| (name, Arc::new(spec))).collect(),
        schedules,
        runbooks: runbooks.map(|(name, spec)| (name, Arc::new(spec))).collect(),
    })
}

/// What a channel or interval of ours is called where an `alertmanager.yml` has one of its name.
fn renamed(name: &str) -> String {
    format!("own/{name}")
}

/// Channels that are told of what no route takes: `alerts.default_channels`, for the tenant that the files of the
/// configuration are for.
fn default_channels(
    app: &SharedApp,
    tenant: &TenantId,
    receivers: &mut BTreeMap<String, Vec<(String, Arc<ChannelSpec>)>>,
) -> Vec<String> {
    let settings = app.settings();
    if settings.alerting.tenant != tenant.as_str() {
        return Vec::new();
    }
    let mut names = Vec::new();
    for (n, given) in settings.alerts.default_channels.as_array().into_iter().flatten().enumerate() {
        match serde_json::from_value::<ChannelRef>(given.clone()) {
            Ok(ChannelRef::Named(name)) if receivers.contains_key(&name) => names.push(name),
            Ok(ChannelRef::Named(name)) => {
                tracing::warn!(%tenant, name, "alerts.default_channels names a channel that there is not");
            }
            Ok(ChannelRef::Inline(inline)) => match ChannelSpec::inline(&inline.kind, inline.config) {
                Ok(channel) => {
                    let name = format!("default/{n}");
                    receivers.insert(name.clone(), vec![(name.clone(), Arc::new(channel))]);
                    names.push(name);
                }
                Err(fault) => {
                    tracing::warn!(%tenant, %fault, "a channel of alerts.default_channels is left out")
                }
            },
            Err(error) => {
                tracing::warn!(%tenant, %error, "a channel of alerts.default_channels does not read")
            }
        }
    }
    names
}

/// The routing; a route that names what is gone is left out, and so is an inhibition or interval that does not read.
fn routing(tenant: &TenantId, mut objects: ObjectsSpec) -> Result<alert::routing::Routing, Fault> {
    loop {
        match objects.routing() {
            Ok(routing) => return Ok(routing),
            Err(error) => {
                tracing::warn!(%tenant, route = error.object, %error, "a route is left out");
                let count = |o: &ObjectsSpec| o.routes.len() + o.inhibitions.len() + o.intervals.len();
                let before = count(&objects);
                objects.routes.retain(|route| route.name != error.object);
                objects.inhibitions.remove(&error.object);
                objects.intervals.remove(&error.object);
                if count(&objects) == before {
                    return Err(Fault::Internal(error.to_string()));
                }
            }
        }
    }
}

/// The route of a rule that names its channels or an escalation policy itself: they hear of it soon, and the routes behind
/// it are asked, too.
fn own_route(
    name: &str,
    spec: &RuleSpec,
    receivers: &mut BTreeMap<String, Vec<(String, Arc<ChannelSpec>)>>,
    escalations: &BTreeMap<String, Arc<EscalationSpec>>,
) -> Option<RouteSpec> {
    let mut channels = Vec::new();
    for (n, channel) in spec.channels.iter().enumerate() {
        match channel {
            ChannelRef::Named(channel) if receivers.contains_key(channel) => channels.push(channel.clone()),
            ChannelRef::Named(_) => {}
            ChannelRef::Inline(inline) => {
                if let Ok(channel) = ChannelSpec::inline(&inline.kind, inline.config.clone()) {
                    let own = format!("rule/{name}/{n}");
                    receivers.insert(own.clone(), vec![(own.clone(), Arc::new(channel))]);
                    channels.push(own);
                }
            }
        }
    }
    let period = |seconds| Some(Period(std::time::Duration::from_secs(seconds)));
    let matcher = alert::routing::Matcher::new("alertname", model::MatchOp::Equal, name).ok()?;
    // One that is gone opens an incident all the same, for those who look.
    let escalation = spec.escalation.clone().filter(|policy| escalations.contains_key(policy));
    (!channels.is_empty() || spec.escalation.is_some()).then(|| RouteSpec {
        matchers: vec![matcher.to_string()],
        channels: Some(channels),
        incident: spec.escalation.as_ref().map(|_| true),
        escalation,
        group_by: Some(vec!["alertname".to_owned()]),
        group_wait: period(1),
        group_interval: period(30),
        proceed: true,
        ..RouteSpec::default()
    })
}

/// Every object of a kind that reads.
pub(super) async fn all<T: DeserializeOwned>(
    app: &SharedApp,
    tenant: &TenantId,
    kind: ObjectKind,
) -> Result<Vec<(String, T)>, Fault> {
    let control = app.control()?;
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = control.objects(tenant, kind, after.as_deref(), 1_000).await?;
        for object in page.items {
            match serde_json::from_value(object.spec) {
                Ok(spec) => found.push((object.name, spec)),
                Err(error) => {
                    tracing::warn!(%tenant, kind = kind.as_str(), name = object.name, %error, "an object does not read");
                }
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// Where people find this server.
pub(crate) fn external_url(app: &SharedApp) -> String {
    app.external_url().unwrap_or_else(|| format!("http://localhost:{}", app.settings().server.listen.port()))
}

/// Checks an object of the response side before it is stored.
pub(crate) fn check(
    app: &SharedApp,
    tenant: &TenantId,
    kind: ObjectKind,
    name: &str,
    spec: &Value,
) -> Result<(), Fault> {
    match kind {
        ObjectKind::Rule => check_rule(app, tenant, name, &parse(spec)?),
        ObjectKind::Channel => check_channel(app, tenant, "", &parse(spec)?),
        ObjectKind::Route => {
            let route: RouteSpec = parse(spec)?;
            route.check(name).map_err(|error| Fault::invalid(&error.field, error.message))
        }
        ObjectKind::Schedule => Schedule::new(&parse::<ScheduleSpec>(spec)?).map(drop).map_err(super::wrong),
        ObjectKind::Escalation => parse::<EscalationSpec>(spec)?.check().map_err(super::wrong),
        ObjectKind::Runbook => parse::<RunbookSpec>(spec)?.check().map_err(super::wrong),
        ObjectKind::StatusPage => parse::<StatusPageSpec>(spec)?.check().map_err(super::wrong),
        ObjectKind::Inhibition => {
            let inhibition: InhibitSpec = parse(spec)?;
            let checked = inhibition.check(name);
            checked.map(drop).map_err(|error| Fault::invalid(&error.field, error.message))
        }
        ObjectKind::TimeInterval => {
            let saved: SavedInterval = parse(spec)?;
            for (n, interval) in saved.time_intervals.iter().enumerate() {
                TimeInterval::new(interval).map_err(|error| {
                    Fault::invalid(&format!("time_intervals[{n}].{}", error.field), error.reason)
                })?;
            }
            Ok(())
        }
        ObjectKind::RuleFile => {
            let saved: super::files::SavedRules = parse(spec)?;
            super::files::read_rules(name, &saved.text).map(drop)
        }
        ObjectKind::Alertmanager => super::files::read_saved(name, &parse(spec)?).map(drop),
        _ => Ok(()),
    }
}

pub(super) fn parse<T: DeserializeOwned>(spec: &Value) -> Result<T, Fault> {
    crate::json::parse(spec.to_string().as_bytes())
}

/// Checks a rule: its fields, its queries in their languages, its templates, its channels.
pub(super) fn check_rule(
    app: &SharedApp,
    tenant: &TenantId,
    name: &str,
    spec: &RuleSpec,
) -> Result<(), Fault> {
    let rule = Rule::of(name, spec, "").map_err(|invalid| Fault::invalid(&invalid.field, invalid.message))?;
    for asked in &rule.compiled.questions {
        let wrong = match &asked.question {
            Question::PromQl(text) => promql::syntax::parse(text).err().map(|error| error.to_string()),
            Question::Search(search) => {
                let signal = signal_of(&search.signal)?;
                query::search::Search::parse(&search.query, signal).err().map(|error| error.to_string())
            }
            Question::Sql { statement, .. } => statement.trim().is_empty().then(|| "is empty".to_owned()),
        };
        if let Some(wrong) = wrong {
            return Err(Fault::invalid(&asked.field, wrong));
        }
    }
    for (n, channel) in spec.channels.iter().enumerate() {
        if let ChannelRef::Inline(inline) = channel {
            let at = format!("channels[{n}].");
            let channel =
                ChannelSpec::inline(&inline.kind, inline.config.clone()).map_err(|fault| said(&at, fault))?;
            check_channel(app, tenant, &at, &channel)?;
        }
    }
    Ok(())
}

fn check_channel(app: &SharedApp, tenant: &TenantId, at: &str, spec: &ChannelSpec) -> Result<(), Fault> {
    spec.check().map_err(|fault| said(at, fault))?;
    let policy = Policy::of(tenant, app.outbound_ranges());
    for field in spec.kind.fields().iter().filter(|field| field.is_url) {
        let Some(text) = spec.config.get(field.name).and_then(Value::as_str) else { continue };
        let judged = url::Url::parse(text)
            .map_err(|error| error.to_string())
            .and_then(|url| policy.judge_url(&url).map_err(|refused| refused.to_string()));
        judged.map_err(|reason| Fault::invalid(&format!("{at}config.{}", field.name), reason))?;
    }
    Ok(())
}

fn said(at: &str, fault: ChannelFault) -> Fault {
    Fault::invalid(&format!("{at}{}", fault.field), fault.message)
}
