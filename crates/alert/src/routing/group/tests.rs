use std::path::Path;

use super::super::config::{AlertmanagerFile, LoadOptions};
use super::*;
use crate::severity::Priority;

const FILE: &str = "
route:
  receiver: r
  group_by: [alertname]
  routes:
    - {matchers: [team=all], group_by: ['...']}
    - {matchers: [severity=critical], receiver: pager}
receivers: [{name: r}, {name: pager}]
";

fn routing() -> Arc<Routing> {
    let file = AlertmanagerFile::parse(FILE, Path::new("a.yml"), LoadOptions { secret_files: false });
    Arc::new(file.expect("valid").routing)
}

fn dispatcher() -> Dispatcher {
    Dispatcher::new(routing(), Bounds::default())
}

/// An alert of which `severity` is no part of its identity.
fn alert(text: &str, starts_at: i64) -> Alert {
    let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
    let labels: Labels = pairs.map(|(name, value)| (name.into(), value.into())).collect();
    let mut stable = labels.clone();
    stable.remove("severity");
    Alert { identity: fingerprint(&stable), ..Alert::firing(labels, starts_at) }
}

fn over(alert: &Alert, at: i64) -> Alert {
    Alert { ends_at: Some(at), updated_at: at, ..alert.clone() }
}

const S: i64 = 1000;
const M: i64 = 60 * S;

/// One receiver that hears of resolved alerts: what it is sent, as `+` and `-` with the label `host`.
struct Receiver {
    dispatcher: Dispatcher,
    log: BTreeMap<String, LogEntry>,
    send_resolved: bool,
    reasons: Vec<Reason>,
}

impl Receiver {
    fn new(send_resolved: bool) -> Self {
        Self { dispatcher: dispatcher(), log: BTreeMap::new(), send_resolved, reasons: Vec::new() }
    }

    fn tick(&mut self, now: i64) -> Vec<String> {
        let mut sent = Vec::new();
        for flush in self.dispatcher.tick(now) {
            let decision = decide(&flush, "r", self.log.get(&flush.group), self.send_resolved, |_| false);
            self.reasons.push(decision.reason);
            if let Some(entry) = decision.log {
                self.log.insert(flush.group.clone(), entry);
            }
            sent.extend(decision.send.map(|alerts| shown(&alerts)));
            self.dispatcher.told(&flush);
        }
        sent
    }

    fn restart(&mut self, now: i64) {
        let stored = serde_json::to_string(&self.dispatcher.snapshots()).unwrap();
        let stored = serde_json::from_str(&stored).unwrap();
        self.dispatcher = Dispatcher::restore(routing(), Bounds::default(), stored, now).0;
        let log = serde_json::to_string(&self.log).unwrap();
        self.log = serde_json::from_str(&log).unwrap();
    }
}

fn shown(alerts: &[FlushAlert]) -> String {
    let one = |told: &FlushAlert| {
        let sign = if told.resolved { '-' } else { '+' };
        format!("{sign}{}", told.alert.labels.get("host").map_or("", String::as_str))
    };
    alerts.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_group_waits_then_speaks_at_its_interval_then_repeats() {
    let mut r = Receiver::new(true);
    r.dispatcher.insert(alert("alertname=A host=a", 0), 0);
    r.dispatcher.insert(alert("alertname=A host=b", 0), 10 * S);
    assert_eq!(r.dispatcher.deadline(), Some(30 * S));
    assert!(r.tick(29 * S).is_empty());
    assert_eq!(r.tick(30 * S), ["+a +b"]);
    // A third one waits for the interval, and the group tells all it has.
    r.dispatcher.insert(alert("alertname=A host=c", 40 * S), 40 * S);
    assert!(r.tick(5 * M).is_empty());
    assert_eq!(r.tick(5 * M + 30 * S), ["+a +b +c"]);
    // Unchanged for four hours: silent, then again.
    for tick in 2..50 {
        assert!(r.tick(tick * 5 * M + 30 * S).is_empty(), "{tick}");
    }
    assert_eq!(r.tick(50 * 5 * M + 30 * S), ["+a +b +c"]);
    assert_eq!(r.reasons.last(), Some(&Reason::Repeat));
}

#[test]
fn an_old_alert_makes_a_new_group_speak_at_once() {
    let mut r = Receiver::new(true);
    r.dispatcher.insert(alert("alertname=A host=a", 0), 31 * S);
    assert_eq!(r.tick(31 * S), ["+a"]);
    r.dispatcher.insert(alert("alertname=A host=b", 0), 40 * S);
    assert!(r.tick(40 * S).is_empty(), "a group that has spoken keeps its interval");
}

#[test]
fn resolved_alerts_are_told_once_and_leave() {
    let (a, b) = (alert("alertname=A host=a", 0), alert("alertname=A host=b", 0));
    for (send_resolved, want) in [(true, vec!["+a +b", "-a +b", "-b"]), (false, vec!["+a +b"])] {
        let mut r = Receiver::new(send_resolved);
        r.dispatcher.insert(a.clone(), 0);
        r.dispatcher.insert(b.clone(), 0);
        let mut sent = r.tick(30 * S);
        r.dispatcher.insert(over(&a, M), M);
        sent.extend(r.tick(5 * M + 30 * S));
        r.dispatcher.insert(over(&b, 6 * M), 6 * M);
        sent.extend(r.tick(10 * M + 30 * S));
        assert_eq!(sent, want, "send_resolved {send_resolved}");
        assert_eq!(r.dispatcher.counts().alerts, 0);
        // The log forgot what fired, so the same alert is told anew.
        r.dispatcher.insert(alert("alertname=A host=b", 20 * M), 20 * M);
        assert_eq!(r.tick(21 * M), ["+b"]);
    }
}

#[test]
fn what_came_and_went_unheard_is_not_told() {
    let mut r = Receiver::new(true);
    let a = alert("alertname=A host=a", 0);
    r.dispatcher.insert(a.clone(), 0);
    r.dispatcher.insert(over(&a, 10 * S), 10 * S);
    assert!(r.tick(30 * S).is_empty());
    assert_eq!(r.reasons, [Reason::NothingToTell]);
    assert_eq!(r.dispatcher.counts().alerts, 0);
}

#[test]
fn an_alert_with_a_time_out_is_over_when_nobody_renews_it() {
    let mut r = Receiver::new(true);
    let a = Alert { ends_at: Some(5 * M), ..alert("alertname=A host=a", 0) };
    r.dispatcher.insert(a, 0);
    assert_eq!(r.tick(30 * S), ["+a"]);
    assert_eq!(r.tick(5 * M + 30 * S), ["-a"]);
}

#[test]
fn a_message_that_failed_is_told_at_the_next_interval() {
    let mut d = dispatcher();
    let a = alert("alertname=A host=a", 0);
    d.insert(a.clone(), 0);
    assert_eq!(d.tick(30 * S).len(), 1);
    d.insert(over(&a, M), M);
    let flush = d.tick(5 * M + 30 * S).remove(0);
    // Nobody was told: it stays.
    assert_eq!(d.counts().alerts, 1);
    // It fires again while the message is on its way: it stays too.
    d.insert(alert("alertname=A host=a", 6 * M), 6 * M);
    d.told(&flush);
    assert_eq!(d.counts().alerts, 1);
}

#[test]
fn an_empty_group_is_forgotten_after_half_a_minute() {
    let mut r = Receiver::new(true);
    let a = alert("alertname=A host=a", 0);
    r.dispatcher.insert(over(&a, S), S);
    r.tick(31 * S);
    assert_eq!((r.dispatcher.counts().groups, r.dispatcher.deadline()), (1, Some(61 * S)));
    r.tick(61 * S);
    assert_eq!((r.dispatcher.counts().groups, r.dispatcher.deadline()), (0, None));
    assert_eq!(r.dispatcher.snapshots(), []);
}

#[test]
fn ten_hosts_are_one_message_and_by_all_labels_ten() {
    let mut d = dispatcher();
    for i in 0..10 {
        d.insert(alert(&format!("alertname=A host={i}"), 0), 0);
        d.insert(alert(&format!("alertname=A team=all host={i}"), 0), 0);
    }
    let sizes: Vec<usize> = d.tick(30 * S).iter().map(|flush| flush.alerts.len()).collect();
    assert_eq!(sizes.iter().filter(|n| **n == 10).count(), 1);
    assert_eq!(sizes.iter().filter(|n| **n == 1).count(), 10);
    assert_eq!(d.groups().count(), 11);
    let key = d.groups().map(|group| group.key.to_owned()).next();
    assert_eq!(key.as_deref(), Some(r#"{}/{team="all"}:{alertname="A", host="0", team="all"}"#));
}

#[test]
fn a_step_up_is_told_at_once_and_moves_to_its_route() {
    let mut d = dispatcher();
    d.insert(alert("alertname=A host=a severity=warning", 0), 0);
    d.insert(alert("alertname=A host=b severity=warning", 0), 0);
    assert_eq!(d.tick(30 * S)[0].priority, Priority::Normal);
    // Another route has it now; the group that had it says so at its own time.
    let inserted = d.insert(alert("alertname=A host=a severity=critical", 0), M);
    assert_eq!(inserted.groups.len(), 2);
    let flushes = d.tick(M);
    assert_eq!(flushes.len(), 1);
    assert_eq!((flushes[0].receivers[0].as_str(), flushes[0].urgent), ("pager", true));
    assert_eq!(flushes[0].priority, Priority::Critical);
    let flushes = d.tick(5 * M + 30 * S);
    assert_eq!(shown(&flushes[0].alerts), "-a +b");
    assert!(flushes[0].alerts[0].moved && !flushes[0].urgent);
    d.told(&flushes[0]);
    // Within a group a step up is told at once too, and the log does not take it for old news.
    d.insert(alert("alertname=A host=b severity=error", 0), 6 * M);
    let flush = d.tick(6 * M).remove(0);
    let known = decide(&flushes[0], "r", None, true, |_| false).log;
    assert_eq!(decide(&flush, "r", known.as_ref(), true, |_| false).reason, Reason::Firing);
    // A step down is no hurry.
    d.insert(alert("alertname=A host=b severity=info", 0), 7 * M);
    assert!(d.tick(7 * M).is_empty());
}

#[test]
fn a_restart_neither_repeats_nor_loses() {
    // The same story, with a restart after every step or without: the receiver hears the same.
    let story = |restarts: bool| {
        let mut r = Receiver::new(true);
        let mut heard = Vec::new();
        let (a, b) = (alert("alertname=A host=a", 0), alert("alertname=A host=b", 2 * M));
        let steps = [
            (0, Some(a.clone())),
            (30 * S, None),
            (2 * M, Some(b)),
            (4 * M, Some(over(&a, 4 * M))),
            (5 * M + 30 * S, None),
            (10 * M + 30 * S, None),
            (4 * 60 * M + 6 * M, None),
            (4 * 60 * M + 12 * M, None),
        ];
        for (now, alert) in steps {
            if let Some(alert) = alert {
                r.dispatcher.insert(alert, now);
            }
            heard.push(r.tick(now));
            if restarts {
                r.restart(now);
            }
        }
        heard
    };
    assert_eq!(story(false), story(true));
    assert_eq!(story(true).concat(), ["+a", "-a +b", "+b"]);
}

#[test]
fn a_crash_while_down_flushes_what_was_due() {
    let mut d = dispatcher();
    d.insert(alert("alertname=A host=a", 0), 0);
    let stored = d.snapshots();
    let (mut d, _) = Dispatcher::restore(routing(), Bounds::default(), stored, 60 * M);
    assert_eq!(d.deadline(), Some(30 * S));
    assert_eq!(d.tick(60 * M).len(), 1);
}

#[test]
fn a_reload_keeps_groups_whose_route_is_there_and_routes_the_others_anew() {
    let mut d = dispatcher();
    d.insert(alert("alertname=A host=a severity=critical", 0), 0);
    d.insert(alert("alertname=B host=a", 0), 0);
    let gone: String = FILE.lines().filter(|line| !line.contains("critical")).collect::<Vec<_>>().join("\n");
    let file = AlertmanagerFile::parse(&gone, Path::new("a.yml"), LoadOptions { secret_files: false });
    let next = Arc::new(file.expect("valid").routing);
    let (d, changed) = Dispatcher::restore(next, Bounds::default(), d.snapshots(), S);
    let keys: Vec<String> = d.groups().map(|group| group.key.to_owned()).collect();
    assert_eq!(keys, [r#"{}:{alertname="A"}"#, r#"{}:{alertname="B"}"#]);
    assert!(changed.groups.iter().any(|key| d.snapshot(key).is_none()), "{changed:?}");
}

#[test]
fn too_many_groups_share_one_and_too_many_alerts_go_alone() {
    let bounds = Bounds { groups_max: 3, alerts_per_group_max: 5, alerts_max: 8 };
    let mut d = Dispatcher::new(routing(), bounds);
    let mut told = BTreeSet::new();
    for i in 0..20 {
        let inserted = d.insert(alert(&format!("alertname={i} host={i}"), 0), 0);
        told.extend(inserted.alone.iter().map(|flush| shown(&flush.alerts)));
    }
    assert_eq!(d.counts(), Counts { groups: 4, alerts: 8, overflowed: 5, alone: 12 });
    for flush in d.tick(30 * S) {
        told.extend(flush.alerts.iter().map(|alert| shown(std::slice::from_ref(alert))));
    }
    assert_eq!(told.len(), 20, "every alert was told: {told:?}");
    // One that is known stays where it is, and is not counted again.
    d.insert(alert("alertname=4 host=4", 0), M);
    assert_eq!(d.counts().overflowed, 5);
}

#[test]
fn what_is_suppressed_is_not_told_and_is_told_when_it_no_longer_is() {
    let mut d = dispatcher();
    d.insert(alert("alertname=A host=a", 0), 0);
    d.insert(alert("alertname=A host=b", 0), 0);
    let flush = d.tick(30 * S).remove(0);
    assert_eq!(decide(&flush, "r", None, true, |_| true).reason, Reason::Suppressed);
    let some = decide(&flush, "r", None, true, |told| told.alert.labels["host"] == "a");
    assert_eq!(some.send.map(|alerts| shown(&alerts)).as_deref(), Some("+b"));
    let later = d.tick(5 * M + 30 * S).remove(0);
    assert_eq!(decide(&later, "r", some.log.as_ref(), true, |_| false).reason, Reason::Firing);
    // The log forgets after twice the repeat interval.
    let old = Flush { at: 9 * 60 * M, ..later };
    assert_eq!(decide(&old, "r", some.log.as_ref(), true, |_| false).reason, Reason::First);
}

#[test]
fn fifty_alerts_of_a_window_are_one_digest() {
    let yaml = "{channels: [mail], digest: 5m, routes: []}";
    let route: super::super::spec::RouteSpec = serde_yaml_ng::from_str(yaml).unwrap();
    let spec = super::super::spec::ObjectsSpec {
        channels: ["mail".to_owned()].into(),
        routes: vec![super::super::spec::NamedRoute { name: "all".into(), spec: route }],
        ..Default::default()
    };
    let mut d = Dispatcher::new(Arc::new(spec.routing().expect("valid")), Bounds::default());
    for i in 0..50 {
        // Some of them began long ago: no reason to speak early.
        d.insert(alert(&format!("alertname={} host={i}", i % 7), -60 * M), i * S);
    }
    let gone = alert("alertname=gone host=x", 0);
    d.insert(gone.clone(), 50 * S);
    d.insert(over(&gone, 60 * S), 60 * S);
    assert!(d.tick(5 * M - 1).is_empty());
    let flushes = d.tick(5 * M);
    assert_eq!(flushes.len(), 1);
    let sent = decide(&flushes[0], "mail", None, true, |_| false).send.expect("sent");
    assert_eq!(sent.len(), 51);
    assert_eq!(sent.iter().filter(|told| told.resolved).count(), 1);
}

#[test]
fn a_channels_digest_gathers_all_groups_and_holds_no_step_up() {
    let mut digests = Digests::default();
    let notice = |group: &str, host: usize, resolved, urgent| {
        let told = alert(&format!("alertname={group} host={host}"), 0);
        let alerts = vec![FlushAlert { alert: told, resolved, moved: false }];
        Notice { group: group.into(), alerts, priority: Priority::Normal, urgent }
    };
    let window = Duration::from_secs(300);
    for i in 0..50 {
        let added = digests.add("mail", window, notice(["a", "b"][i % 2], i, false, false), i as i64);
        assert_eq!(added, Added::Held);
    }
    assert_eq!(digests.add("mail", window, notice("a", 0, true, false), 60), Added::Held);
    assert!(matches!(digests.add("mail", window, notice("a", 1, false, true), 61), Added::Now(_)));
    // Through a crash.
    let stored: Vec<DigestWindow> = digests.windows().cloned().collect();
    let stored = serde_json::from_str(&serde_json::to_string(&stored).unwrap()).unwrap();
    let mut digests = Digests::restore(stored);
    assert_eq!(digests.deadline(), Some(300_000));
    assert!(digests.tick(299_999).is_empty());
    let sent = digests.tick(300_000).remove(0);
    assert_eq!((sent.len(), sent.opened_at, sent.notices.len()), (50, 0, 2));
    let resolved = sent.notices.iter().flat_map(|n| &n.alerts).filter(|told| told.resolved).count();
    assert_eq!(resolved, 1, "the latest word on an alert counts");
    assert_eq!(digests.deadline(), None);
    // A window that is full goes out early.
    for i in 0..1000 {
        digests.add("mail", window, notice("a", i, false, false), 0);
    }
    let Added::Full(full) = digests.add("mail", window, notice("a", 1000, false, false), 5) else {
        panic!("full")
    };
    assert_eq!((full.len(), digests.tick(300_005)[0].len()), (1000, 1));
}
