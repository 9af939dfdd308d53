//! A story told to a running Alertmanager and to our dispatcher: both tell the same of every group.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use alert::Labels;
use alert::routing::{
    Alert, Bounds, Dispatcher, FlushAlert, Inhibitor, LogEntry, Matcher, Matchers, Silence, SilenceDraft,
    decide,
};
use serde_json::{Value, json};

use super::ours;

/// Groups speak at 1, 4, 7 and 10 s; what happens, happens half-way, far from either.
const STORY: &[(u64, &str, bool)] = &[
    (0, "alertname=Disk host=a", true),
    (0, "alertname=Disk host=b", true),
    (0, "alertname=Cpu host=a severity=warning", true),
    (0, "alertname=Down host=a severity=critical", true),
    (0, "alertname=Short host=a", true),
    (0, "alertname=Quiet host=a", true),
    (2500, "alertname=Disk host=c", true),
    (2500, "alertname=Short host=a", false),
    (5500, "alertname=Disk host=a", false),
    (5500, "alertname=Down host=a severity=critical", false),
    (8500, "alertname=Disk host=b", false),
    (8500, "alertname=Disk host=c", false),
];
const END_MS: u64 = 11_000;

fn config(port: u16) -> String {
    format!(
        "route: {{receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 3s, repeat_interval: 1h}}\n\
         receivers:\n- name: hook\n  webhook_configs: [{{url: 'http://127.0.0.1:{port}/'}}]\n\
         inhibit_rules:\n- source_matchers: [severity=critical]\n  target_matchers: [severity=warning]\n  equal: [host]\n"
    )
}

fn labels(text: &str) -> Labels {
    let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.into(), value.into())).collect()
}

/// What each group told, message by message: `+host` for what fires, `-host` for what is resolved.
type Told = BTreeMap<String, Vec<BTreeSet<String>>>;

/// The same from our dispatcher, a tenth of a second at a time.
fn simulated() -> Told {
    let file = ours(&config(9)).expect("valid");
    let mut inhibitor = Inhibitor::new(&file.routing.inhibitions, []);
    let mut dispatcher = Dispatcher::new(Arc::new(file.routing), Bounds::default());
    let matchers = Matchers::new(vec![Matcher::parse("alertname=Quiet").expect("a matcher")]);
    let draft =
        SilenceDraft { matchers, starts_at: 0, ends_at: 60_000, created_by: "a".into(), comment: "b".into() };
    let silence = Silence::new(draft, "s", 0).expect("a silence");
    let (mut told, mut log) = (Told::new(), BTreeMap::<String, LogEntry>::new());
    for now in (0..=END_MS as i64).step_by(100) {
        for (_, text, fires) in STORY.iter().filter(|(at, ..)| *at as i64 == now) {
            let started = STORY.iter().find(|(_, other, _)| other == text).map_or(0, |(at, ..)| *at as i64);
            let alert = Alert {
                ends_at: (!fires).then_some(now),
                updated_at: now,
                ..Alert::firing(labels(text), started)
            };
            inhibitor.set(&alert);
            dispatcher.insert(alert, now);
        }
        for flush in dispatcher.tick(now) {
            let quiet = |told: &FlushAlert| {
                silence.silences(&told.alert.labels, now)
                    || inhibitor.inhibited(&told.alert.labels, now).is_some()
            };
            let decision = decide(&flush, "hook/webhook/0", log.get(&flush.group), true, quiet);
            log.extend(decision.log.map(|entry| (entry.group.clone(), entry)));
            let message = decision.send.map(|alerts| {
                alerts.iter().map(|told| shown(told.resolved, &told.alert.labels["host"])).collect()
            });
            told.entry(flush.group.clone()).or_default().extend(message);
            dispatcher.told(&flush);
        }
    }
    told.retain(|_, messages| !messages.is_empty());
    told
}

fn shown(resolved: bool, host: &str) -> String {
    format!("{}{host}", if resolved { '-' } else { '+' })
}

/// Ends with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().expect("it runs until here");
        self.0.wait().expect("it was ours");
    }
}

fn request(port: u16, method: &str, path: &str, body: &Value) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let body = body.to_string();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Takes messages until the test is over.
fn listen(listener: TcpListener, told: Arc<Mutex<Told>>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        let told = Arc::clone(&told);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
                if line == "\r\n" {
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).expect("a body");
                    note(&serde_json::from_slice(&body).expect("JSON"), &told);
                    (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("answered");
                }
            }
        });
    }
}

fn note(message: &Value, told: &Mutex<Told>) {
    let alerts = message["alerts"].as_array().expect("a list");
    let hosts = alerts
        .iter()
        .map(|alert| shown(alert["status"] == "resolved", alert["labels"]["host"].as_str().expect("a host")));
    let key = message["groupKey"].as_str().expect("a key").to_owned();
    told.lock().expect("unharmed").entry(key).or_default().push(hosts.collect());
}

#[test]
fn alertmanager_tells_the_same_story() {
    let ours = simulated();
    let disk = &ours[r#"{}:{alertname="Disk"}"#];
    assert_eq!(disk.len(), 4, "the story tells something: {disk:?}");
    // A machine that stands still for a second shifts what happens past a message; a real difference stays.
    let theirs = live();
    assert_eq!(if theirs == ours { theirs } else { live() }, ours);
}

fn live() -> Told {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let hook = listener.local_addr().expect("bound").port();
    let told = Arc::new(Mutex::new(Told::new()));
    let noted = Arc::clone(&told);
    std::thread::spawn(move || listen(listener, noted));
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("bound").port()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("alertmanager.yml");
    std::fs::write(&file, config(hook)).expect("written");
    let child = Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus-alertmanager must be installed: it is what we are compared with");
    let _running = Running(child);
    let up = (0..100).any(|_| {
        sleep(Duration::from_millis(100));
        request(port, "GET", "/-/ready", &Value::Null).is_ok_and(|answer| answer.contains(" 200 "))
    });
    assert!(up, "it answers within ten seconds");
    let silence = json!({
        "matchers": [{"name": "alertname", "value": "Quiet", "isRegex": false}],
        "startsAt": jiff::Timestamp::now().to_string(),
        "endsAt": (jiff::Timestamp::now() + Duration::from_secs(60)).to_string(),
        "createdBy": "a",
        "comment": "b",
    });
    let answer = request(port, "POST", "/api/v2/silences", &silence).expect("answered");
    assert!(answer.contains(" 200 "), "{answer}");
    let start = Instant::now();
    let wait = |at: u64| sleep(Duration::from_millis(at).saturating_sub(start.elapsed()));
    let moments: BTreeSet<u64> = STORY.iter().map(|(at, ..)| *at).collect();
    for moment in moments {
        wait(moment);
        let now = jiff::Timestamp::now().to_string();
        let alerts = STORY.iter().filter(|(at, ..)| *at == moment).map(|(_, text, fires)| match fires {
            true => json!({ "labels": labels(text) }),
            false => json!({ "labels": labels(text), "endsAt": now }),
        });
        let answer = request(port, "POST", "/api/v2/alerts", &alerts.collect()).expect("answered");
        assert!(answer.contains(" 200 "), "{answer}");
    }
    wait(END_MS);
    told.lock().expect("unharmed").clone()
}
