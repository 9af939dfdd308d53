//! Sensitive actions of checks, and of files and silences as Prometheus and Alertmanager have them.

use serde_json::{Value, json};

use super::{Walk, id};

pub(super) async fn upstream(walk: &mut Walk) {
    let base = "/api/v1/monitoring/prometheus";
    let rules = json!({ "groups": [{ "name": "g", "rules": [{ "record": "a:b", "expr": "1" }] }] });
    walk.root("saveRuleFile", &format!("POST {base}/rules?name=mine"), rules).await;
    walk.root("deleteRuleFile", &format!("DELETE {base}/rules/mine"), Value::Null).await;
    let file = json!({ "route": { "receiver": "a" }, "receivers": [{ "name": "a" }] });
    walk.root("saveAlertmanagerFile", &format!("POST {base}/alertmanager"), file).await;
    walk.root("deleteAlertmanagerFile", &format!("DELETE {base}/alertmanager"), Value::Null).await;
    let silence = json!({
        "matchers": [{ "name": "alertname", "value": "x", "isRegex": false }], "comment": "c", "createdBy": "me",
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00Z",
    });
    for (prefix, suffix) in [("", ""), ("/alertmanager", "BelowAlertmanager")] {
        let (post, delete) = match suffix {
            "" => ("postAlertmanagerSilence", "deleteAlertmanagerSilence"),
            _ => ("postAlertmanagerSilenceBelowAlertmanager", "deleteAlertmanagerSilenceBelowAlertmanager"),
        };
        let made = walk.root(post, &format!("POST {prefix}/api/v2/silences"), silence.clone()).await;
        let id = made["silenceID"].as_str().expect("an id").to_owned();
        walk.root(delete, &format!("DELETE {prefix}/api/v2/silence/{id}"), Value::Null).await;
    }
}

pub(super) async fn checks(walk: &mut Walk) {
    let base = "/api/v1/monitoring/health-checks";
    let check = json!({ "name": "job", "type": "heartbeat", "interval": 3600 });
    let made = walk.root("createHealthCheck", &format!("POST {base}"), check.clone()).await;
    let one = format!("{base}/{}", id(&made));
    walk.root("replaceHealthCheck", &format!("PUT {one}"), check.clone()).await;
    walk.root("testHealthCheck", &format!("POST {base}/test"), check).await;
    walk.root("runHealthCheck", &format!("POST {one}/run"), Value::Null).await;
    walk.root("deleteHealthCheck", &format!("DELETE {one}"), Value::Null).await;
}
