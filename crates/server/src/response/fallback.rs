//! What becomes of a notification that its channel does not take: for an error or worse the channel above is told, and one
//! that is given up is an alert itself (a dead letter).

use alert::Labels;
use alert::notify::Event;
use alert::routing::{Alert, fingerprint};
use alert::severity::Severity;
use alert::tables::{Notification, NotificationStatus, TableError};
use model::TenantId;

use crate::app::SharedApp;
use crate::error::Fault;

/// How long a channel may refuse before another one is told.
const PATIENCE_MS: i64 = 300_000;
/// How long the alert of a dead letter lasts.
const DEAD_LETTER_MS: i64 = 3_600_000;
/// The name of that alert.
const DEAD_LETTER: &str = "NotificationDeadLetter";
/// What the id of a notification ends in that went on to another channel.
const NEXT: &str = "-next";

/// Looks after a notification whose attempt failed. What goes wrong here is told in the log: the next attempt comes by
/// again, and the queue keeps what is given up.
pub(super) async fn after_failure(
    app: &SharedApp,
    tenant: &TenantId,
    one: &Notification,
    is_over: bool,
    why: &str,
) {
    let late = app.now_ms().saturating_sub(one.created_at) >= PATIENCE_MS;
    let grave = one.message.severity >= Severity::Error && one.event == Event::Alert;
    let result = async {
        if grave && (is_over || late) {
            move_on(app, tenant, one).await?;
        }
        if is_over {
            tell(app, tenant, one, why).await?;
        }
        Ok::<_, Fault>(())
    };
    if let Err(fault) = result.await {
        let reason = fault.message();
        tracing::warn!(%tenant, notification = one.id, reason, "nobody else was told of what a channel refused");
    }
}

/// Gives the message to the nearest channel above its route, once.
async fn move_on(app: &SharedApp, tenant: &TenantId, one: &Notification) -> Result<(), Fault> {
    if one.id.ends_with(NEXT) {
        return Ok(());
    }
    let engine = app.engine_of(tenant).await?;
    let id = format!("{}{NEXT}", one.id);
    match engine.tables().notification(&id).await {
        Ok(_) => return Ok(()),
        Err(TableError::Missing { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let Some(channel) = engine.desk().channel_above(&one.group_key, &one.channel).await else {
        return Ok(());
    };
    let mut message = one.message.clone();
    (message.id, message.receiver) = (id.clone(), channel.clone());
    let next = Notification {
        id,
        channel,
        message,
        status: NotificationStatus::Pending,
        attempts: 0,
        error: None,
        created_at: app.now_ms(),
        ended_at: None,
        ..one.clone()
    };
    tracing::warn!(%tenant, from = one.channel, to = next.channel, "a channel refuses: another one is told");
    let events = engine.tables().events_of_notification(&one.id).await?;
    engine.desk().notify(next, &events).await?;
    Ok(())
}

/// Raises the alert of a dead letter. One about such an alert raises none.
async fn tell(app: &SharedApp, tenant: &TenantId, one: &Notification, why: &str) -> Result<(), Fault> {
    let own = one.message.common_labels.get("alertname").is_some_and(|name| name == DEAD_LETTER);
    if own || one.event == Event::Test {
        return Ok(());
    }
    let now = app.now_ms();
    let text = |value: &str| value.to_owned();
    let labels = Labels::from([
        (text("alertname"), text(DEAD_LETTER)),
        (text("channel"), one.channel.clone()),
        (text("severity"), text("error")),
    ]);
    let annotations = Labels::from([
        (text("summary"), format!("{} was told nothing of {}", one.channel, one.message.title)),
        (text("description"), why.chars().take(500).collect()),
    ]);
    let alert = Alert {
        identity: fingerprint(&labels),
        labels,
        annotations,
        generator_url: String::new(),
        starts_at: now,
        ends_at: Some(now + DEAD_LETTER_MS),
        updated_at: now,
    };
    app.receive_alerts(tenant, vec![alert]).await
}
