//! A labelled simulation of 1,000 episodes (AL-44; docs/alerting.md has the definition): how often rules decide right.

use alert::Labels;
use alert::engine::Rule;
use alert::rule::{Answer, Found, Point, RuleSpec, has_data, judge};
use alert::state::{Change, RuleState};
use serde_json::json;

const STEP_MS: i64 = 30_000;
/// Points before an episode, of which anomalies are judged.
const BEFORE: usize = 480;
/// Points of an episode: two hours.
const LENGTH: usize = 240;
/// An incident must have fired so long after it began, in points: ten minutes.
const WITHIN: usize = 20;
const EPISODES: u64 = 1_000;
/// The limit of the threshold rule, milliseconds.
const LIMIT: f64 = 500.0;

/// A generator of which every run is the same (xorshift64*, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn uniform(&mut self, from: f64, to: f64) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        from + (to - from) * (bits as f64 / (1u64 << 53) as f64)
    }

    /// About normal, with deviation one: twelve uniform ones (central limit).
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform(0.0, 1.0)).sum::<f64>() - 6.0
    }
}

/// One episode: the series, and where its incident is, if it has one.
struct Episode {
    values: Vec<f64>,
    incident: Option<std::ops::Range<usize>>,
}

/// A latency with noise of which half goes over from point to point, and of those that are no incidents: spikes of
/// one point, a slow drift, a short burst. An incident is a step or a ramp to `factor` times what is usual, for 15 to 60
/// minutes.
fn episode(random: &mut Random, usual: f64, factor: f64, has_incident: bool) -> Episode {
    let begin = BEFORE + random.uniform(20.0, 60.0) as usize;
    let end = (begin + random.uniform(30.0, 120.0) as usize).min(BEFORE + LENGTH);
    let is_ramp = random.uniform(0.0, 1.0) < 0.3;
    let (drift, noise) = (random.uniform(-0.1, 0.1), random.uniform(0.02, 0.12));
    let burst = BEFORE + random.uniform(100.0, 200.0) as usize;
    let has_burst = random.uniform(0.0, 1.0) < 0.5;
    let mut carried = 0.0;
    let values = (0..BEFORE + LENGTH).map(|n| {
        carried = 0.5 * carried + random.normal();
        let mut level = 1.0 + drift * (n as f64 / (BEFORE + LENGTH) as f64);
        if has_incident && (begin..end).contains(&n) {
            let rise = if is_ramp { ((n - begin + 1) as f64 / 6.0).min(1.0) } else { 1.0 };
            level *= 1.0 + (factor - 1.0) * rise;
        } else if random.uniform(0.0, 1.0) < 0.005 || has_burst && (burst..burst + 3).contains(&n) {
            // Over within a minute and a half: nobody wants to be woken.
            level *= random.uniform(1.5, 4.0);
        }
        usual * (level + noise * carried).max(0.01)
    });
    let values = values.collect();
    Episode { values, incident: has_incident.then_some(begin..end) }
}

/// Points at which a rule fires.
fn fires(rule: &Rule, values: &[f64]) -> Vec<usize> {
    let history = rule.compiled.questions[0].history;
    let points: Vec<Point> =
        values.iter().zip(0..).map(|(value, n)| Point { at: n * STEP_MS, value: *value }).collect();
    let mut state = RuleState::default();
    let mut fired = Vec::new();
    for n in BEFORE..values.len() {
        let at = points[n].at;
        let past = history.map_or(Vec::new(), |history| {
            let from = at - history.span.millis();
            points[..n].iter().filter(|point| point.at >= from).copied().collect()
        });
        let answers = [vec![Answer { labels: Labels::new(), value: values[n], history: past }]];
        let found: Vec<Found> = judge(&rule.compiled.test, &answers, at);
        let changes = state.step(&rule.policy, found, has_data(&answers), at);
        fired.extend(changes.iter().filter(|change| matches!(change.change, Change::Fired)).map(|_| n));
    }
    fired
}

fn rule(spec: serde_json::Value) -> Rule {
    let spec: RuleSpec = serde_json::from_value(spec).expect("a specification");
    Rule::of("latency", &spec, "").expect("a rule")
}

#[test]
fn more_than_95_of_100_episodes_are_decided_right() {
    let threshold = rule(json!({"type": "threshold", "for": "2m", "cooldown": 0,
        "condition": {"metric": "latency", "operator": ">", "threshold": LIMIT, "recover": 0.9 * LIMIT}}));
    let anomaly = rule(json!({"type": "anomaly", "for": "2m", "cooldown": 0,
        "condition": {"metric": "latency", "window": "1m", "baseline": "4h", "season": "none"}}));
    let mut random = Random(42);
    // Right, missed, late, false: by rule.
    let mut tally = [[0_u32; 4]; 2];
    for n in 0..EPISODES {
        let (kind, has_incident) = ((n % 2) as usize, n % 4 < 2);
        // With a limit, what is usual is up to 85 % of it and an incident at least 10 % above; without, it is 1.5 to 4 times
        // what is usual.
        let (usual, factor) = match kind {
            0 => {
                let usual = LIMIT * random.uniform(0.3, 0.85);
                (usual, LIMIT * random.uniform(1.1, 3.0) / usual)
            }
            _ => (random.uniform(20.0, 2_000.0), random.uniform(1.8, 4.0)),
        };
        let episode = episode(&mut random, usual, factor, has_incident);
        let fired = fires([&threshold, &anomaly][kind], &episode.values);
        let verdict = match (&episode.incident, fired.first()) {
            (None, None) => 0,
            (Some(incident), Some(at)) if (incident.start..=incident.start + WITHIN).contains(at) => 0,
            (Some(_), None) => 1,
            (Some(incident), Some(at)) if *at > incident.start + WITHIN => 2,
            _ => 3,
        };
        tally[kind][verdict] += 1;
    }
    let right = tally[0][0] + tally[1][0];
    let share = f64::from(right) / EPISODES as f64;
    assert!(share > 0.95, "{share}: right, missed, late, false of {tally:?}");
}
