//! Logs and spans as OTLP over HTTP: 30 services with templated messages and about eight attributes, and
//! traces of about ten spans over 20 services; ids are random.

use crate::proto::Message;
use crate::random::Random;

const ROUTES: [&str; 8] =
    ["/api/cart", "/api/pay", "/api/users", "/api/orders", "/health", "/api/search", "/login", "/api/items"];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (X11; Linux x86_64) Firefox/132.0",
    "Mozilla/5.0 (Macintosh) Safari/605.1.15",
    "curl/8.10.1",
    "okhttp/4.12.0",
    "python-requests/2.32.3",
    "Go-http-client/2.0",
];
const ZONES: [&str; 3] = ["eu-central-1a", "eu-central-1b", "eu-central-1c"];
const LEVELS: [(u64, &str); 4] = [(9, "INFO"), (5, "DEBUG"), (13, "WARN"), (17, "ERROR")];

/// Makes requests of log records, in order of time.
pub(crate) struct Logs {
    random: Random,
    pub(crate) next: u64,
    from_ns: u64,
    step_ns: u64,
    /// A message every so many records that no other has.
    rare_every: u64,
}

impl Logs {
    pub(crate) fn new(seed: u64, from_ns: u64, step_ns: u64, rare_every: u64) -> Self {
        Self { random: Random::new(seed), next: 0, from_ns, step_ns, rare_every }
    }

    /// One request of `count` records of a few services.
    pub(crate) fn request(&mut self, count: usize) -> Vec<u8> {
        let mut request = Message::default();
        let groups = 5;
        for _ in 0..groups {
            let service = self.random.below(30);
            let mut resource = Message::default();
            resource.message(1, &attribute("service.name", &format!("service-{service:02}")));
            resource.message(1, &attribute("host.name", &format!("node-{:02}", service % 12)));
            resource.message(1, &attribute("deployment.environment", "production"));
            let mut scope = Message::default();
            for _ in 0..count / groups {
                let record = self.record(service);
                scope.message(2, &record);
            }
            let mut of_resource = Message::default();
            of_resource.message(1, &resource);
            of_resource.message(2, &scope);
            request.message(1, &of_resource);
        }
        request.0
    }

    fn record(&mut self, service: u64) -> Message {
        let n = self.next;
        self.next += 1;
        let r = &mut self.random;
        let time = self.from_ns + n * self.step_ns + r.below(self.step_ns);
        let (level, text) = LEVELS[match r.below(100) {
            0..70 => 0,
            70..90 => 1,
            90..97 => 2,
            _ => 3,
        }];
        let (route, method) = (ROUTES[r.below(8) as usize], METHODS[r.below(4) as usize]);
        let status = match r.below(100) {
            0..90 => 200,
            90..95 => 404,
            95..98 => 302,
            _ => 500,
        };
        let duration = 1 + r.below(400) * (1 + r.below(5));
        let user = r.below(50_000);
        let body = match n % 5 {
            0 | 1 => format!("request completed for user {user} in {duration} ms"),
            2 => format!("cache miss for key item:{} shard {}", r.below(200_000), service % 4),
            3 => format!("connection pool has {} idle of 64 connections", r.below(64)),
            _ => format!("retrying call to service-{:02} attempt {}", r.below(30), 1 + r.below(3)),
        };
        let body = if self.rare_every > 0 && n % self.rare_every == 7 {
            format!("{body}: quorum lost on replica set")
        } else {
            body
        };
        let mut record = Message::default();
        record.fixed64(1, time);
        record.varint(2, level);
        record.bytes(3, text.as_bytes());
        let mut value = Message::default();
        value.bytes(1, body.as_bytes());
        record.message(5, &value);
        record.message(6, &attribute("http.method", method));
        record.message(6, &attribute("http.route", route));
        record.message(6, &integer("http.status_code", status));
        record.message(
            6,
            &attribute("client.ip", &format!("10.{}.{}.{}", r.below(4), r.below(32), r.below(250))),
        );
        record.message(6, &integer("duration_ms", duration));
        record.message(6, &attribute("http.user_agent", AGENTS[r.below(6) as usize]));
        record.message(6, &attribute("k8s.pod.name", &pod(service, r.below(3))));
        record.message(6, &attribute("cloud.zone", ZONES[r.below(3) as usize]));
        let (high, low, span) = (r.next(), r.next(), r.next());
        record.bytes(9, &[high.to_be_bytes(), low.to_be_bytes()].concat());
        record.bytes(10, &span.to_be_bytes());
        record.fixed64(11, time + 1_000_000);
        record
    }
}

/// Makes requests of whole traces, in order of time.
pub(crate) struct Spans {
    random: Random,
    pub(crate) next: u64,
    from_ns: u64,
    step_ns: u64,
}

impl Spans {
    pub(crate) fn new(seed: u64, from_ns: u64, step_ns: u64) -> Self {
        Self { random: Random::new(seed), next: 0, from_ns, step_ns }
    }

    /// One request of about `count` spans.
    pub(crate) fn request(&mut self, count: usize) -> Vec<u8> {
        let mut by_service: Vec<Message> = (0..20).map(|_| Message::default()).collect();
        let end = self.next + count as u64;
        while self.next < end {
            self.trace(&mut by_service);
        }
        let mut request = Message::default();
        for (service, scope) in by_service.iter().enumerate().filter(|(_, scope)| !scope.0.is_empty()) {
            let mut resource = Message::default();
            resource.message(1, &attribute("service.name", &format!("service-{service:02}")));
            resource.message(1, &attribute("host.name", &format!("node-{:02}", service % 12)));
            let mut of_resource = Message::default();
            of_resource.message(1, &resource);
            of_resource.message(2, scope);
            request.message(1, &of_resource);
        }
        request.0
    }

    fn trace(&mut self, by_service: &mut [Message]) {
        let spans = 5 + self.random.below(11);
        let id = [self.random.next().to_be_bytes(), self.random.next().to_be_bytes()].concat();
        let mut ids: Vec<[u8; 8]> = Vec::new();
        let began = self.from_ns + self.next * self.step_ns;
        for n in 0..spans {
            let r = &mut self.random;
            let service = if n == 0 { r.below(4) } else { r.below(20) };
            let start = began + n * 200_000 + r.below(150_000);
            let duration = (1 + r.below(50)) * (1 + r.below(50)) * 200_000;
            let failed = r.below(50) == 0;
            let operation = format!("{} {}", METHODS[r.below(4) as usize], ROUTES[r.below(8) as usize]);
            let span_id = r.next().to_be_bytes();
            let mut span = Message::default();
            span.bytes(1, &id);
            span.bytes(2, &span_id);
            if n > 0 {
                span.bytes(4, &ids[r.below(ids.len() as u64) as usize]);
            }
            ids.push(span_id);
            span.bytes(5, operation.as_bytes());
            span.varint(6, if n == 0 { 2 } else { 1 + r.below(3) });
            span.fixed64(7, start);
            span.fixed64(8, start + duration);
            span.message(9, &attribute("http.method", &operation[..3]));
            span.message(9, &integer("http.status_code", if failed { 500 } else { 200 }));
            span.message(
                9,
                &attribute("db.system", ["postgresql", "redis", "mysql", "none"][r.below(4) as usize]),
            );
            span.message(
                9,
                &attribute("net.peer.ip", &format!("10.{}.{}.{}", r.below(4), r.below(32), r.below(250))),
            );
            span.message(9, &integer("user.id", r.below(50_000)));
            span.message(9, &attribute("k8s.pod.name", &pod(service, r.below(3))));
            span.message(9, &attribute("http.user_agent", AGENTS[r.below(6) as usize]));
            span.message(9, &attribute("cloud.zone", ZONES[r.below(3) as usize]));
            span.message(9, &integer("net.peer.port", 32_768 + r.below(28_000)));
            if failed {
                let mut status = Message::default();
                status.bytes(2, b"upstream failed");
                status.varint(3, 2);
                span.message(15, &status);
            }
            by_service[service as usize].message(2, &span);
            self.next += 1;
        }
    }
}

/// One of a service's pods.
fn pod(service: u64, replica: u64) -> String {
    format!("service-{service:02}-{:05x}-{replica}", (service + 1) * 7_919 % 1_048_576)
}

fn attribute(key: &str, value: &str) -> Message {
    let mut text = Message::default();
    text.bytes(1, value.as_bytes());
    key_value(key, &text)
}

fn integer(key: &str, value: u64) -> Message {
    let mut number = Message::default();
    number.varint(3, value);
    key_value(key, &number)
}

fn key_value(key: &str, value: &Message) -> Message {
    let mut pair = Message::default();
    pair.bytes(1, key.as_bytes());
    pair.message(2, value);
    pair
}
