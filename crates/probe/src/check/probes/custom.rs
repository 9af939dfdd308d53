//! What the caller answers: heartbeats, queries, commands, functions.

use crate::check::reach::Facts;
use crate::check::spec::{CommandConfig, CustomConfig, HeartbeatConfig, NoData, QueryConfig};
use crate::check::trace::{Fault, Trace};

/// Values of a query that are compared.
const VALUES_MAX: usize = 100_000;

pub(super) async fn heartbeat(
    trace: &mut Trace<'_>,
    facts: &dyn Facts,
    config: &HeartbeatConfig,
) -> Result<(), Fault> {
    let last = facts.last_report(trace.check.name()).await.map_err(Fault::unknown)?;
    let Some(last) = last else { return Err(Fault::unknown("it has not reported yet")) };
    let silent_ms = trace.clock.now_ms().saturating_sub(last.at);
    trace.value("silentSeconds", silent_ms as f64 / 1000.0);
    let (interval, grace) = (trace.check.spec().interval, config.grace);
    if silent_ms > (i64::from(interval) + i64::from(grace)) * 1000 {
        let silent = silent_ms / 1000;
        let message =
            format!("the last report is {silent} s old; one is due every {interval} s, {grace} s of grace");
        return Err(Fault::unhealthy(message));
    }
    match last.failed {
        Some(failed) => Err(Fault::unhealthy(format!("it reported a failure: {failed}"))),
        None => Ok(()),
    }
}

pub(super) async fn query(
    trace: &mut Trace<'_>,
    facts: &dyn Facts,
    config: &QueryConfig,
) -> Result<(), Fault> {
    trace.begin("evaluating the query");
    let values = facts.query(config.language, &trace.check.spec().target).await;
    let mut values = values.map_err(|error| Fault::unknown(format!("the query failed: {error}")))?;
    values.truncate(VALUES_MAX);
    trace.value("values", values.len() as f64);
    let Some(first) = values.first() else {
        return match config.no_data {
            NoData::Healthy => Ok(()),
            NoData::Unhealthy => Err(Fault::unhealthy("the query has no value")),
            NoData::Unknown => Err(Fault::unknown("the query has no value")),
        };
    };
    let bad = values.iter().find(|value| !config.operator.holds_for(**value, config.threshold));
    trace.value("value", *bad.unwrap_or(first));
    match bad {
        None => Ok(()),
        Some(value) => {
            let (operator, threshold) = (config.operator.as_str(), config.threshold);
            Err(Fault::unhealthy(format!("the value is {value}, expected: {operator} {threshold}")))
        }
    }
}

pub(super) async fn command(
    trace: &mut Trace<'_>,
    facts: &dyn Facts,
    config: &CommandConfig,
) -> Result<(), Fault> {
    trace.begin("running the command");
    let exit = facts.command(&trace.check.spec().target, &config.args).await.map_err(Fault::unknown)?;
    trace.value("exitCode", f64::from(exit.code));
    trace.text("output", exit.output.trim());
    if exit.code != config.expected_exit {
        let message = format!(
            "the command ended with {}, expected: {}; {}",
            exit.code,
            config.expected_exit,
            exit.output.trim()
        );
        return Err(Fault::unhealthy(message));
    }
    Ok(())
}

pub(super) async fn function(
    trace: &mut Trace<'_>,
    facts: &dyn Facts,
    config: &CustomConfig,
) -> Result<(), Fault> {
    trace.begin("calling the function");
    let verdict =
        facts.function(&trace.check.spec().target, &config.arguments).await.map_err(Fault::unknown)?;
    match verdict.healthy {
        true => Ok(()),
        false => Err(Fault::unhealthy(verdict.message.unwrap_or_else(|| "the function says so".into()))),
    }
}
