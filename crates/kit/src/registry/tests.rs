use async_trait::async_trait;
use serde_json::json;

use super::*;
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::spawn::spawn;

type Log = Arc<Mutex<Vec<String>>>;

/// Notes its start and its end.
struct Part {
    name: String,
    log: Log,
    broken: bool,
    answer: Arc<Mutex<HealthStatus>>,
}

#[async_trait]
impl Service for Part {
    async fn init(&self) -> Result<(), BoxError> {
        tokio::task::yield_now().await;
        self.log.lock().push(format!("+{}", self.name));
        if self.broken { Err("broken".into()) } else { Ok(()) }
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        Ok(self.answer.lock().clone())
    }

    async fn cleanup(&self) -> Result<(), BoxError> {
        self.log.lock().push(format!("-{}", self.name));
        if self.name == "stuck" { std::future::pending().await } else { Ok(()) }
    }
}

struct Fixture {
    registry: ServiceRegistry,
    log: Log,
    answer: Arc<Mutex<HealthStatus>>,
}

fn fixture(clock: SharedClock) -> Fixture {
    let answer = Arc::new(Mutex::new(HealthStatus::healthy()));
    Fixture { registry: ServiceRegistry::new(clock), log: Log::default(), answer }
}

impl Fixture {
    fn part(&self, name: &str, needs: &[&str]) -> Registration {
        let (name_, log, answer) = (name.to_owned(), self.log.clone(), self.answer.clone());
        let create = factory(move |_| {
            let (name, log, answer) = (name_.clone(), log.clone(), answer.clone());
            async move { Ok(Arc::new(Part { broken: name.starts_with("broken"), name, log, answer })) }
        });
        Registration::service(name, create).depends_on(needs.iter().copied())
    }

    fn add(&self, name: &str, needs: &[&str]) {
        self.registry.register(self.part(name, needs)).unwrap();
    }

    fn log(&self) -> String {
        self.log.lock().join(" ")
    }
}

#[tokio::test]
async fn resolving_starts_what_is_needed_first_and_once() {
    let f = fixture(SystemClock::shared());
    f.add("api", &["store", "db"]);
    f.add("store", &["db"]);
    f.add("db", &[]);
    f.add("idle", &[]);
    assert_eq!(f.log(), "", "no factory runs before something is resolved");
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let registry = f.registry.clone();
            spawn("resolve", async move { registry.resolve("api").await.unwrap() })
        })
        .collect();
    let first = f.registry.resolve("api").await.unwrap();
    for call in calls {
        assert!(Arc::ptr_eq(&first, &call.await.unwrap()));
    }
    assert_eq!(f.log(), "+db +store +api");
    assert_eq!(f.registry.info("idle").unwrap().status, ServiceStatus::Registered);
}

#[tokio::test]
async fn names_are_unique_known_and_without_circles() {
    let f = fixture(SystemClock::shared());
    f.add("a", &["b"]);
    f.add("b", &["c"]);
    let refused = |registration| f.registry.register(registration).unwrap_err().to_string();
    assert_eq!(refused(f.part("a", &[])), "Service already registered: a");
    assert_eq!(refused(f.part("c", &["a"])), "services depend on each other in a circle: c -> a -> b -> c");
    let unknown = f.registry.resolve("nope").await.err().unwrap();
    assert_eq!(unknown.to_string(), "Service not registered: nope");
    let missing = f.registry.resolve("a").await.err().unwrap();
    assert_eq!(missing.to_string(), "service a needs b: service b needs c: Service not registered: c");
}

#[tokio::test]
async fn shutdown_cleans_up_once_each_in_reverse_order() {
    let f = fixture(SystemClock::shared());
    f.add("api", &["store"]);
    f.add("store", &["db"]);
    f.add("db", &[]);
    f.registry.start_all().await.unwrap();
    f.log.lock().clear();
    let report = f.registry.shutdown(Duration::from_secs(5)).await;
    assert!(report.is_clean());
    assert_eq!(report.stopped, ["api", "store", "db"]);
    f.registry.shutdown(Duration::from_secs(5)).await;
    assert_eq!(f.log(), "-api -store -db");
}

#[tokio::test]
async fn a_service_that_hangs_on_cleanup_is_left_behind_at_the_deadline() {
    let clock = ManualClock::at(0);
    let f = fixture(Arc::new(clock.clone()));
    f.add("stuck", &[]);
    f.registry.start_all().await.unwrap();
    let registry = f.registry.clone();
    let ending = spawn("end", async move { registry.shutdown(Duration::from_secs(5)).await });
    clock.run_for(Duration::from_secs(6)).await;
    assert_eq!(ending.await.unwrap().late, ["stuck"]);
}

#[tokio::test]
async fn starting_all_names_the_services_at_fault_and_starts_the_rest() {
    let f = fixture(SystemClock::shared());
    f.add("broken", &[]);
    f.add("api", &["broken"]);
    f.add("db", &[]);
    let error = f.registry.start_all().await.unwrap_err();
    assert_eq!(error.to_string(), "service broken failed in init: broken");
    assert_eq!(f.registry.info("db").unwrap().status, ServiceStatus::Ready);
    assert_eq!(f.log.lock().iter().filter(|step| *step == "+broken").count(), 1);
}

#[tokio::test]
async fn health_checks_answer_in_the_agreed_words() {
    let f = fixture(SystemClock::shared());
    f.add("db", &[]);
    let unknown = f.registry.health_check("nope").await;
    assert_eq!(
        serde_json::to_value(unknown).unwrap(),
        json!({"status": "unknown", "message": "Service not registered"})
    );
    let before = f.registry.info("db").unwrap();
    assert_eq!(before.last_health_check, before.registered_at);
    f.registry.resolve("db").await.unwrap();
    let healthy = serde_json::to_value(f.registry.health_check("db").await).unwrap();
    assert_eq!(healthy["status"], "healthy");
    assert!(healthy["response_time_ms"].is_number() && healthy["last_check"].is_number());
    *f.answer.lock() = HealthStatus::unhealthy("disk full");
    let unhealthy = serde_json::to_value(f.registry.health_check("db").await).unwrap();
    assert_eq!(
        (unhealthy["status"].as_str(), unhealthy["message"].as_str()),
        (Some("unhealthy"), Some("disk full"))
    );
    let info = f.registry.info("db").unwrap();
    assert_eq!((info.health, info.message.as_deref()), (HealthState::Unhealthy, Some("disk full")));
}

#[tokio::test]
async fn a_service_that_stays_unhealthy_is_started_anew_within_ten_seconds() {
    let clock = ManualClock::at(0);
    let f = fixture(Arc::new(clock.clone()));
    f.registry.register(f.part("db", &[]).restart_when_unhealthy()).unwrap();
    f.registry.resolve("db").await.unwrap();
    let (trigger, shutdown) = crate::shutdown::ShutdownTrigger::new();
    let registry = f.registry.clone();
    let watching = spawn("watch", async move { registry.watch(shutdown).await });
    clock.run_for(Duration::from_secs(10)).await;
    assert_eq!(f.registry.info("db").unwrap().restarts, 0);
    *f.answer.lock() = HealthStatus::unhealthy("wedged");
    clock.run_for(Duration::from_secs(4)).await;
    assert_eq!(f.registry.info("db").unwrap().restarts, 1);
    *f.answer.lock() = HealthStatus::healthy();
    clock.run_for(Duration::from_secs(2)).await;
    assert_eq!(f.registry.last_health("db").status, HealthState::Healthy);
    trigger.request();
    watching.await.unwrap();
}

#[tokio::test]
async fn a_failed_task_is_back_within_ten_seconds() {
    let clock = ManualClock::at(0);
    let f = fixture(Arc::new(clock.clone()));
    let at = clock.clone();
    let task = Registration::task("task", move |shutdown| {
        let early = at.monotonic() < Duration::from_secs(1);
        async move {
            assert!(!early, "killed");
            shutdown.requested().await;
            Ok(())
        }
    });
    f.registry.register(task).unwrap();
    f.registry.start_all().await.unwrap();
    clock.run_for(Duration::from_secs(10)).await;
    let info = f.registry.info("task").unwrap();
    assert_eq!((info.status, info.restarts), (ServiceStatus::Ready, 1));
}

#[tokio::test]
async fn a_factory_receives_the_services_it_declared() {
    struct User(Arc<BaseServiceFacade<Part>>);
    impl Service for User {}
    let f = fixture(SystemClock::shared());
    f.add("db", &[]);
    let create = factory(|context: ServiceContext| async move {
        assert!(context.dependency::<Part>("other").is_err(), "not declared");
        assert!(context.dependency::<User>("db").is_err(), "another type");
        Ok(Arc::new(User(context.dependency("db")?)))
    });
    f.registry.register(Registration::service("user", create).depends_on(["db"])).unwrap();
    let user = f.registry.resolve_as::<User>("user").await.unwrap();
    assert_eq!(user.service().unwrap().0.service().unwrap().name, "db");
    f.registry.restart("db").await.unwrap();
    assert!(user.service().unwrap().0.service().is_ok(), "the facade outlives a restart");
}

#[tokio::test]
async fn the_topology_shows_edges_and_who_fails_with_whom() {
    let f = fixture(SystemClock::shared());
    f.add("api", &["store"]);
    f.add("store", &["db"]);
    f.add("db", &[]);
    let topology = f.registry.topology();
    assert_eq!(topology.order, ["db", "store", "api"]);
    assert_eq!(topology.edges.len(), 2);
    assert_eq!(topology.dependents("db"), ["store", "api"]);
    assert_eq!(topology.dependents("api"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_and_fifty_services_start_list_and_stop() {
    let f = fixture(SystemClock::shared());
    for n in 0..150 {
        let before = format!("s{}", n - 1);
        let needs = if n % 10 == 0 { vec![] } else { vec![before.as_str()] };
        f.add(&format!("s{n}"), &needs);
    }
    f.registry.start_all().await.unwrap();
    let list = f.registry.list();
    assert_eq!(list.len(), 150);
    assert!(list.iter().all(|info| info.status == ServiceStatus::Ready));
    assert!(f.registry.shutdown(Duration::from_secs(30)).await.is_clean());
    assert_eq!(f.log.lock().len(), 300);
}
