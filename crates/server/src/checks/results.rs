//! Runs of the past, and what they add up to.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::record::check;
use model::{Field, Order, Predicate, Scalar, Signal, Test};
use probe::check::uptime::Uptime;
use probe::check::{CheckSpec, CheckStatus, Details};
use query::Control;
use query::rows::{Ask, Cursor, Row, RowReader, RowValue, Sort, StoredRows, Timeline};
use schemars::JsonSchema;
use serde::Serialize;

use super::spec::KIND;
use super::views::ResultView;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::moment::Moment;
use crate::openapi::{Op, Page, Routes, choice, string};
use crate::prom::params::Params;
use crate::tenants_api::Paging;

const MS: i64 = 1_000_000;
const DAY_MS: i64 = 86_400_000;
/// Windows of uptime: name and length.
const WINDOWS: [(&str, i64); 3] = [("24h", DAY_MS), ("7d", 7 * DAY_MS), ("30d", 30 * DAY_MS)];
/// Days that are shown one by one.
const DAYS: i64 = 30;
/// Outages that are shown, the latest.
const OUTAGES_MAX: usize = 100;
/// A result holds for so many intervals: one run may be late.
const HOLD_INTERVALS: i64 = 3;

pub(super) fn routes() -> Routes {
    let one = "/api/v1/monitoring/health-checks/{id}";
    Routes::new("Health checks")
        .get(
            &format!("{one}/results"),
            results,
            Op::new("listHealthCheckResults", "Runs of a check, the newest first")
                .about("They are kept for `retention.checks`, also as the table `checks` of SQL.")
                .params(&[
                    string(
                        "since",
                        "Only runs from this time on: RFC 3339, or seconds since the Unix epoch.",
                    ),
                    string("until", "Only runs before this time."),
                    choice("status", &["healthy", "unhealthy", "unknown"], "Only runs with this verdict."),
                ])
                .gives_page::<ResultView>(),
        )
        .get(
            &format!("{one}/uptime"),
            uptime,
            Op::new("getHealthCheckUptime", "Shares of time that a check was healthy, and its outages")
                .gives::<UptimeView>(),
        )
}

/// How the last thirty days went. Shares are of the time with a verdict, 0 to 1.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HealthCheckUptime")]
struct UptimeView {
    windows: Vec<WindowView>,
    /// In UTC, the oldest first.
    days: Vec<DayView>,
    /// The latest hundred, the newest first.
    outages: Vec<OutageView>,
}

/// A stretch of time up to now.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HealthCheckWindow")]
struct WindowView {
    /// `24h`, `7d` or `30d`.
    window: &'static str,
    /// `null` without a verdict.
    uptime: Option<f64>,
    runs: u64,
    /// Of healthy runs, milliseconds.
    mean_latency_ms: Option<f64>,
    p95_latency_ms: Option<f64>,
}

/// One day.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HealthCheckDay")]
struct DayView {
    /// Such as `2027-01-31`.
    day: String,
    /// `null` without a verdict.
    uptime: Option<f64>,
}

/// A stretch of time during which it failed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HealthCheckOutage")]
struct OutageView {
    from: Moment,
    /// `null` while it goes on.
    until: Option<Moment>,
    /// Why, as the run said that began it.
    message: Option<String>,
}

fn of_check(id: &str) -> Predicate {
    text_is(check::CHECK_ID, id)
}

fn text_is(column: usize, text: &str) -> Predicate {
    Predicate::Test(Field::Fixed(column as u8), Test::Compare(Order::Equal, Scalar::Text(text.into())))
}

async fn results(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Page<ResultView>>, ApiFault> {
    let paging = Paging::read(&params)?;
    let mut predicate = of_check(&id);
    if let Some(text) = params.get("status") {
        let status = CheckStatus::parse(text).ok_or_else(|| {
            Fault::invalid("status", format!("{text:?} is none of healthy, unhealthy, unknown"))
        })?;
        predicate = predicate.and(text_is(check::STATUS, status.as_str()));
    }
    let start_ns = params.time("since")?.map_or(i64::MIN, |ms| ms.saturating_mul(MS));
    let end_ns = params.time("until")?.map_or(i64::MAX, |ms| ms.saturating_mul(MS));
    let cursor = paging.after().map(Cursor::parse).transpose().map_err(Fault::from)?;
    app.control()?.projected_by_id(&identity.tenant, KIND, &id).await?;
    let limit = paging.limit() as usize;
    let ask = Ask { predicate, start_ns, end_ns };
    let page = with_rows(&app, &identity, move |reader| {
        reader.page(&ask, Sort::Newest, limit, cursor.as_ref()).map_err(Fault::from)
    });
    let page = page.await?;
    let items = page.rows.iter().map(result_of).collect();
    Ok(Json(Page { items, next: page.next.map(|cursor| cursor.to_string()) }))
}

async fn with_rows<T: Send + 'static>(
    app: &SharedApp,
    identity: &Identity,
    work: impl FnOnce(&RowReader) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let deadline = app.query_deadline(&identity.tenant);
    let rows = app.rows(&identity.reach(), Signal::Checks, deadline).await?;
    let control = Control::until(deadline);
    let work = move || work(&RowReader::new(Arc::new(StoredRows::new(Signal::Checks, rows)), control));
    app.in_slot(&identity.tenant, "checks", deadline, work).await
}

/// A stored run.
fn result_of(row: &Row) -> ResultView {
    let at = |column: usize| row.fixed.get(column).unwrap_or(&RowValue::Null);
    let text = |column: usize| at(column).as_text().map(str::to_owned);
    let details: Details =
        text(check::DETAILS).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    ResultView {
        at: Moment(row.time_ns / MS),
        status: at(check::STATUS).as_text().and_then(CheckStatus::parse).unwrap_or(CheckStatus::Unknown),
        latency_ms: match at(check::LATENCY_MS) {
            RowValue::Double(value) => *value,
            _ => 0.0,
        },
        attempts: at(check::ATTEMPTS).as_int().and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        message: text(check::MESSAGE),
        place: text(check::PLACE).unwrap_or_default(),
        details,
    }
}

async fn uptime(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
) -> Result<Json<UptimeView>, ApiFault> {
    let found = app.control()?.projected_by_id(&identity.tenant, KIND, &id).await?;
    let now = app.now_ms();
    let hold_ms = hold_ms(&found.object.spec);
    let from = day_of(now) - (DAYS - 1) * DAY_MS;
    // The result before the first day still holds at its beginning.
    let start_ns = (from.min(now - 30 * DAY_MS) - hold_ms).saturating_mul(MS);
    let view = with_rows(&app, &identity, move |reader| {
        let ask = Ask { predicate: of_check(&id), start_ns, end_ns: i64::MAX };
        let (timeline, _) = reader.timeline(&ask, check::STATUS, check::LATENCY_MS).map_err(Fault::from)?;
        let mut view = summed(&timeline, now, hold_ms);
        for outage in &mut view.outages {
            outage.message = message_at(reader, &id, outage.from.0)?;
        }
        Ok(view)
    });
    Ok(Json(view.await?))
}

/// How long a result counts.
fn hold_ms(spec: &serde_json::Value) -> i64 {
    let spec = CheckSpec::parse(spec).ok();
    let seconds = spec.map_or((60, 10), |spec| (spec.interval, spec.timeout));
    (i64::from(seconds.0) * HOLD_INTERVALS + i64::from(seconds.1)) * 1_000
}

fn day_of(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS) * DAY_MS
}

fn summed(timeline: &Timeline, now: i64, hold_ms: i64) -> UptimeView {
    let statuses: Vec<CheckStatus> =
        timeline.texts.iter().map(|text| CheckStatus::parse(text).unwrap_or(CheckStatus::Unknown)).collect();
    let results: Vec<(i64, CheckStatus, f64)> = timeline
        .points
        .iter()
        .map(|(time, text, latency)| (time / MS, statuses[usize::from(*text)], *latency))
        .collect();
    let between = |from: i64, to: i64| {
        // With the one that holds at the beginning.
        let first = results.partition_point(|(at, ..)| *at < from).saturating_sub(1);
        Uptime::of(results[first..].iter().map(|(at, status, _)| (*at, *status)), from, to, hold_ms)
    };
    let share = |uptime: &Uptime| uptime.percent().map(|percent| percent / 100.0);
    let window = |(window, length): (&'static str, i64)| {
        let inside = &results[results.partition_point(|(at, ..)| *at < now - length)..];
        let well = inside.iter().filter(|(_, status, _)| *status == CheckStatus::Healthy);
        let mut latencies: Vec<f64> = well.map(|(.., latency)| *latency).filter(|l| l.is_finite()).collect();
        latencies.sort_unstable_by(f64::total_cmp);
        WindowView {
            window,
            uptime: share(&between(now - length, now)),
            runs: inside.len() as u64,
            mean_latency_ms: (!latencies.is_empty())
                .then(|| latencies.iter().sum::<f64>() / latencies.len() as f64),
            p95_latency_ms: latencies.get((latencies.len() * 95).div_ceil(100).saturating_sub(1)).copied(),
        }
    };
    let day = |back: i64| {
        let from = day_of(now) - back * DAY_MS;
        let utc =
            Timestamp::from_millisecond(from).map(|time| time.to_zoned(TimeZone::UTC).date().to_string());
        DayView { day: utc.unwrap_or_default(), uptime: share(&between(from, (from + DAY_MS).min(now))) }
    };
    let all = between(now - 30 * DAY_MS, now).outages;
    let outages = all.into_iter().rev().take(OUTAGES_MAX).map(|outage| OutageView {
        from: Moment(outage.from),
        until: (!outage.ongoing).then_some(Moment(outage.to)),
        message: None,
    });
    UptimeView {
        windows: WINDOWS.map(window).into(),
        days: (0..DAYS).rev().map(day).collect(),
        outages: outages.collect(),
    }
}

/// What the run said that began an outage.
fn message_at(reader: &RowReader, id: &str, at: i64) -> Result<Option<String>, Fault> {
    let ask = Ask { predicate: of_check(id), start_ns: at * MS, end_ns: (at + 1) * MS };
    let page = reader.page(&ask, Sort::Oldest, 1, None).map_err(Fault::from)?;
    Ok(page.rows.first().and_then(|row| result_of(row).message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_adds_up_to_windows_days_and_outages() {
        let now = 40 * DAY_MS + DAY_MS / 2;
        let texts = vec!["healthy".to_owned(), "unhealthy".to_owned()];
        // Once an hour for two days; down from hour 6 to hour 9 of them.
        let begin = now - 2 * DAY_MS;
        let hour = 3_600_000;
        let points = (0..48)
            .map(|n: i64| ((begin + n * hour) * MS, u8::from((6..9).contains(&n)), 100.0 + n as f64))
            .collect();
        let view = summed(&Timeline { texts, points }, now, 2 * hour);
        let uptimes: Vec<Option<f64>> = view.windows.iter().map(|window| window.uptime).collect();
        assert_eq!(uptimes, [Some(1.0), Some(45.0 / 48.0), Some(45.0 / 48.0)]);
        assert_eq!(view.windows.iter().map(|window| window.runs).collect::<Vec<_>>(), [24, 48, 48]);
        assert_eq!(view.windows[0].mean_latency_ms, Some(135.5));
        assert_eq!(view.windows[0].p95_latency_ms, Some(146.0));
        assert_eq!((view.days.len(), view.days[29].day.as_str()), (30, "1970-02-10"));
        let days: Vec<Option<f64>> = view.days[26..].iter().map(|day| day.uptime).collect();
        assert_eq!(days, [None, Some(0.75), Some(1.0), Some(1.0)]);
        assert_eq!(view.outages.len(), 1);
        assert_eq!(view.outages[0].from, Moment(begin + 6 * hour));
        assert_eq!(view.outages[0].until, Some(Moment(begin + 9 * hour)));
        assert!(summed(&Timeline::default(), now, hour).windows.iter().all(|window| window.uptime.is_none()));
    }
}
