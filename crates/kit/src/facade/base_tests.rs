use std::time::Instant;

use serde_json::json;

use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::facade::factory;
use crate::shutdown::Shutdown;
use crate::status::HealthState;

/// Notes every hook, and does what its settings say.
struct Probe {
    log: Arc<Mutex<Vec<String>>>,
    settings: Value,
}

#[async_trait]
impl Service for Probe {
    async fn init(&self) -> Result<(), BoxError> {
        self.log.lock().push("init".into());
        if self.settings["fail"] == "init" { Err("no disk".into()) } else { Ok(()) }
    }

    async fn ready(&self) -> Result<(), BoxError> {
        self.log.lock().push("ready".into());
        Ok(())
    }

    async fn run(&self, shutdown: Shutdown) -> Result<(), BoxError> {
        self.log.lock().push("run".into());
        assert!(self.settings["fail"] != "run" || self.log.lock().len() > 4, "first run");
        shutdown.requested().await;
        Ok(())
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        match self.settings["health"].as_str() {
            Some("hang") => std::future::pending().await,
            Some("error") => Err("disk full".into()),
            Some("panic") => panic!("oops"),
            _ => Ok(HealthStatus::healthy()),
        }
    }

    fn gauges(&self) -> Vec<(String, f64)> {
        vec![("queue_items".into(), 3.0)]
    }

    async fn cleanup(&self) -> Result<(), BoxError> {
        self.log.lock().push("cleanup".into());
        Ok(())
    }
}

impl Probe {
    async fn write(&self, ok: bool) -> Result<u32, ServiceError> {
        if ok { Ok(1) } else { Err(ServiceError::NotRegistered("x".into())) }
    }
}

type Log = Arc<Mutex<Vec<String>>>;

fn probe(config: Value, clock: SharedClock) -> (Log, Arc<BaseServiceFacade<Probe>>) {
    let log = Log::default();
    let seen = log.clone();
    let create = factory(move |context: ServiceContext| {
        let log = seen.clone();
        async move {
            log.lock().push("factory".into());
            tokio::task::yield_now().await;
            Ok(Arc::new(Probe { log, settings: context.config }))
        }
    });
    (log, Arc::new(BaseServiceFacade::new("probe", create, config, clock)))
}

#[tokio::test]
async fn hooks_run_once_each_in_order_and_calls_are_refused_after_cleanup() {
    let (log, facade) = probe(json!({}), SystemClock::shared());
    assert_eq!(facade.status(), ServiceStatus::Registered);
    facade.initialize(None).await.unwrap();
    facade.initialize(None).await.unwrap();
    assert_eq!(facade.status(), ServiceStatus::Ready);
    tokio::task::yield_now().await;
    facade.cleanup().await.unwrap();
    facade.cleanup().await.unwrap();
    let steps: Vec<_> = log.lock().iter().filter(|step| *step != "run").cloned().collect();
    assert_eq!(steps, ["factory", "init", "ready", "cleanup"]);
    assert_eq!(facade.status(), ServiceStatus::Stopped);
    let refused = facade.monitor("write", |s| async move { s.write(true).await }).await;
    assert_eq!(refused.unwrap_err().to_string(), "service probe is stopped, not ready");
}

#[tokio::test]
async fn a_partial_config_is_merged_over_the_existing_one() {
    let (log, facade) = probe(json!({"a": 1, "nested": {"b": 2, "c": 3}}), SystemClock::shared());
    facade.initialize(Some(json!({"nested": {"b": 9}}))).await.unwrap();
    assert_eq!(facade.config(), json!({"a": 1, "nested": {"b": 9, "c": 3}}));
    assert_eq!(facade.service().unwrap().settings, facade.config());
    facade.initialize(Some(json!({"a": 1}))).await.unwrap();
    assert_eq!(log.lock().iter().filter(|step| *step == "factory").count(), 1, "nothing changed");
    facade.initialize(Some(json!({"a": 2}))).await.unwrap();
    assert_eq!(facade.service().unwrap().settings["a"], 2);
    assert_eq!(log.lock().iter().filter(|step| *step == "cleanup").count(), 1);
    assert_eq!(facade.status(), ServiceStatus::Ready);
}

#[tokio::test]
async fn concurrent_starts_call_the_factory_once_also_when_it_fails() {
    for config in [json!({}), json!({"fail": "init"})] {
        let (log, facade) = probe(config.clone(), SystemClock::shared());
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let facade = facade.clone();
                spawn("start", async move { facade.initialize(None).await.is_ok() })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), config.get("fail").is_none());
        }
        assert_eq!(log.lock().iter().filter(|step| *step == "factory").count(), 1);
    }
}

#[tokio::test]
async fn a_failed_hook_names_stage_and_cause_and_cleans_up() {
    let (log, facade) = probe(json!({"fail": "init"}), SystemClock::shared());
    let error = facade.initialize(None).await.unwrap_err();
    assert_eq!(error.to_string(), "service probe failed in init: no disk");
    assert_eq!(facade.status(), ServiceStatus::Failed);
    assert_eq!(*log.lock(), ["factory", "init", "cleanup"]);
    assert_eq!(facade.health().await.status, HealthState::Unhealthy);
}

#[tokio::test]
async fn operations_are_counted_and_timed() {
    let (_, facade) = probe(json!({}), SystemClock::shared());
    facade.initialize(None).await.unwrap();
    facade.monitor("write", |s| async move { s.write(true).await }).await.unwrap();
    facade.monitor("write", |s| async move { s.write(false).await }).await.unwrap_err();
    let metrics = facade.metrics();
    assert_eq!((metrics.operations["write"].count, metrics.operations["write"].errors), (2, 1));
    assert_eq!((metrics.request_count, metrics.error_count, metrics.error_rate), (2, 1, 0.5));
    assert_eq!(metrics.gauges["queue_items"], 3.0);
    let shown = serde_json::to_value(&metrics).unwrap();
    assert_eq!(shown["operations"]["write"]["count"], 2);
}

#[tokio::test]
async fn health_is_an_answer_whatever_happens() {
    for (how, want, message) in [
        ("ok", HealthState::Healthy, None),
        ("error", HealthState::Unhealthy, Some("disk full")),
        ("panic", HealthState::Unhealthy, Some("health check panicked: oops")),
    ] {
        let (_, facade) = probe(json!({"health": how}), SystemClock::shared());
        assert_eq!(facade.health().await.status, HealthState::Unknown);
        facade.initialize(None).await.unwrap();
        let health = facade.health().await;
        assert_eq!((health.status, health.message.as_deref()), (want, message), "{how}");
        assert!(health.response_time_ms.is_some() && health.last_check.is_some());
    }
}

#[tokio::test]
async fn a_hanging_health_check_is_unhealthy_within_its_limit() {
    let clock = ManualClock::at(0);
    let (_, facade) = probe(json!({"health": "hang"}), Arc::new(clock.clone()));
    facade.initialize(None).await.unwrap();
    let asked = facade.clone();
    let answer = spawn("ask", async move { asked.health().await });
    clock.run_for(Duration::from_secs(1)).await;
    let health = answer.await.unwrap();
    assert_eq!(health.message.as_deref(), Some("health check timed out after 1000 ms"));
    assert_eq!((health.response_time_ms, health.last_check), (Some(1000.0), Some(1000)));
}

#[tokio::test]
async fn a_panic_in_run_fails_the_service_until_it_is_restarted() {
    let clock = ManualClock::at(0);
    let (_, facade) = probe(json!({"fail": "run"}), Arc::new(clock.clone()));
    facade.initialize(None).await.unwrap();
    clock.run_for(Duration::from_millis(500)).await;
    assert_eq!((facade.status(), facade.restarts()), (ServiceStatus::Failed, 0));
    assert_eq!(facade.health().await.message.as_deref(), Some("panicked: first run"));
    clock.run_for(Duration::from_secs(1)).await;
    assert_eq!((facade.status(), facade.restarts()), (ServiceStatus::Ready, 1));
}

#[tokio::test]
async fn a_restart_begins_a_new_life_behind_the_same_facade() {
    let (log, facade) = probe(json!({}), SystemClock::shared());
    facade.initialize(None).await.unwrap();
    let before = facade.service().unwrap();
    facade.restart().await.unwrap();
    assert!(!Arc::ptr_eq(&before, &facade.service().unwrap()));
    assert_eq!(facade.restarts(), 1);
    let steps: Vec<_> = log.lock().iter().filter(|step| *step != "run").cloned().collect();
    assert_eq!(steps, ["factory", "init", "ready", "cleanup", "factory", "init", "ready"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_concurrent_operations_are_all_counted() {
    let (_, facade) = probe(json!({}), SystemClock::shared());
    facade.initialize(None).await.unwrap();
    let started = Instant::now();
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let facade = facade.clone();
            spawn(
                "write",
                async move { facade.monitor("write", |s| async move { s.write(true).await }).await },
            )
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    tracing::info!(took = ?started.elapsed(), "1000 operations");
    assert_eq!(facade.metrics().operations["write"].count, 1000);
}
