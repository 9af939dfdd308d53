//! Routes and inhibitions as `alertmanager.yml` writes them.

use std::collections::BTreeMap;

use model::MatchOp;
use serde::Deserialize;

use super::super::inhibit::Inhibition;
use super::super::matcher::{MATCHERS_MAX, Matcher, Matchers};
use super::super::period::Period;
use super::super::tree::Draft;
use super::yaml::Flaw;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RouteYaml {
    receiver: Option<String>,
    group_by: Option<Vec<String>>,
    #[serde(rename = "match")]
    equal: Option<BTreeMap<String, String>>,
    match_re: Option<BTreeMap<String, String>>,
    matchers: Option<Vec<String>>,
    mute_time_intervals: Option<Vec<String>>,
    active_time_intervals: Option<Vec<String>>,
    #[serde(rename = "continue")]
    proceed: Option<bool>,
    routes: Option<Vec<RouteYaml>>,
    group_wait: Option<Period>,
    group_interval: Option<Period>,
    repeat_interval: Option<Period>,
}

impl RouteYaml {
    /// The root, which takes everything at all times.
    pub(super) fn root(self) -> Result<Draft, Flaw> {
        let draft = self.draft()?;
        let takes_all = "the root takes every alert; move this to a route below it";
        if !draft.matchers.is_empty() {
            return Err(Flaw::here(format!("the root cannot have matchers: {takes_all}")));
        }
        if draft.receivers.is_none() {
            return Err(Flaw::here("receiver is missing; the root names who gets what no other route takes"));
        }
        if draft.proceed {
            return Err(Flaw::at("continue", "means nothing at the root; remove it"));
        }
        for (key, list) in [("mute_time_intervals", &draft.mute), ("active_time_intervals", &draft.active)] {
            if !list.is_empty() {
                return Err(Flaw::at(key, takes_all));
            }
        }
        Ok(draft)
    }

    fn draft(self) -> Result<Draft, Flaw> {
        let mut routes = Vec::new();
        for (i, route) in self.routes.into_iter().flatten().enumerate() {
            routes.push(route.draft().map_err(|flaw| flaw.nth(i).under("routes"))?);
        }
        let mut matchers = legacy("match", self.equal, MatchOp::Equal)?;
        matchers.extend(legacy("match_re", self.match_re, MatchOp::Regex)?);
        matchers.extend(read_matchers("matchers", self.matchers)?);
        Ok(Draft {
            matchers,
            receivers: self.receiver.filter(|name| !name.is_empty()).map(|name| vec![name]),
            group_by: self.group_by.filter(|names| !names.is_empty()),
            group_wait: self.group_wait.map(|period| period.0),
            group_interval: self.group_interval.map(|period| period.0),
            repeat_interval: self.repeat_interval.map(|period| period.0),
            proceed: self.proceed.unwrap_or(false),
            mute: self.mute_time_intervals.unwrap_or_default(),
            active: self.active_time_intervals.unwrap_or_default(),
            routes,
            ..Draft::default()
        })
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct InhibitYaml {
    name: Option<String>,
    source_match: Option<BTreeMap<String, String>>,
    source_match_re: Option<BTreeMap<String, String>>,
    source_matchers: Option<Vec<String>>,
    target_match: Option<BTreeMap<String, String>>,
    target_match_re: Option<BTreeMap<String, String>>,
    target_matchers: Option<Vec<String>>,
    equal: Option<Vec<String>>,
}

impl InhibitYaml {
    pub(super) fn check(self) -> Result<Inhibition, Flaw> {
        let mut source = legacy("source_match", self.source_match, MatchOp::Equal)?;
        source.extend(legacy("source_match_re", self.source_match_re, MatchOp::Regex)?);
        source.extend(read_matchers("source_matchers", self.source_matchers)?);
        let mut target = legacy("target_match", self.target_match, MatchOp::Equal)?;
        target.extend(legacy("target_match_re", self.target_match_re, MatchOp::Regex)?);
        target.extend(read_matchers("target_matchers", self.target_matchers)?);
        let equal = self.equal.unwrap_or_default();
        if let Some(i) = equal.iter().position(String::is_empty) {
            return Err(Flaw::here("is not the name of a label; write one such as instance")
                .nth(i)
                .under("equal"));
        }
        let (source, target) = (Matchers::new(source), Matchers::new(target));
        Ok(Inhibition { name: self.name, source, target, equal: equal.into_iter().collect() })
    }
}

fn legacy(key: &str, map: Option<BTreeMap<String, String>>, op: MatchOp) -> Result<Vec<Matcher>, Flaw> {
    let read = |(name, value): (String, String)| {
        Matcher::new(&name, op, &value).map_err(|e| Flaw::at(&name, e.to_string()).under(key))
    };
    map.into_iter().flatten().map(read).collect()
}

/// Each text may hold several.
fn read_matchers(key: &str, texts: Option<Vec<String>>) -> Result<Vec<Matcher>, Flaw> {
    let mut all = Vec::new();
    for (i, text) in texts.into_iter().flatten().enumerate() {
        all.extend(Matcher::parse_list(&text).map_err(|e| Flaw::here(e.to_string()).nth(i).under(key))?);
        if all.len() > MATCHERS_MAX {
            let message =
                format!("more than {MATCHERS_MAX} conditions; join values in an expression such as a|b");
            return Err(Flaw::here(message).nth(i).under(key));
        }
    }
    Ok(all)
}
