//! The systemd journal, by way of `journalctl`: its format is journald's own business, its JSON is documented
//! (systemd.journal-fields(7), "Journal JSON Format").

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ingest::records::{Context, severity_of_syslog, severity_text};
use kit::Shutdown;
use model::record::log;
use model::{Records, Signal, Value, record};
use serde_json::{Map, Value as Json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::{Outbox, PARCEL_BYTES, state_file};

/// Entries of one parcel.
const BATCH: usize = 1000;
const GATHER: Duration = Duration::from_secs(1);
/// Wait before `journalctl` is started again.
const RESTART: Duration = Duration::from_secs(10);

/// Follows the journal until asked to stop, from the entry after the last one that is in the buffer.
pub(crate) async fn follow(outbox: &Outbox, cursor_file: PathBuf, stop: &Shutdown) {
    while !stop.is_requested() {
        if let Err(error) = run(outbox, &cursor_file, stop).await {
            tracing::warn!(%error, "the journal cannot be read; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(RESTART) => {}
            () = stop.requested() => {}
        }
    }
}

fn start(cursor: Option<&str>) -> io::Result<Child> {
    let mut command = Command::new("journalctl");
    command.args(["--follow", "--output=json", "--quiet"]);
    match cursor {
        Some(cursor) => command.arg(format!("--after-cursor={cursor}")),
        None => command.arg("--lines=0"),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()
}

async fn run(outbox: &Outbox, cursor_file: &Path, stop: &Shutdown) -> io::Result<()> {
    let cursor = read_cursor(cursor_file)?;
    let mut child = start(cursor.as_deref())?;
    let Some(stdout) = child.stdout.take() else { return Ok(()) };
    let mut lines = BufReader::new(stdout).lines();
    loop {
        let mut records = Records::new(Signal::Logs);
        let mut last = None;
        let gathering = async {
            while records.len() < BATCH && records.bytes() < PARCEL_BYTES {
                let Some(line) = lines.next_line().await? else { return Ok::<_, io::Error>(true) };
                if let Ok(entry) = serde_json::from_str::<Map<String, Json>>(&line) {
                    last = entry.get("__CURSOR").and_then(Json::as_str).map(str::to_owned).or(last.take());
                    push(&mut records, &entry, outbox.context());
                }
            }
            Ok(false)
        };
        let ended = tokio::select! {
            gathered = tokio::time::timeout(GATHER, gathering) => gathered.unwrap_or(Ok(false))?,
            () = stop.requested() => false,
        };
        if !records.is_empty() {
            // What was not taken comes again after the cursor of what was.
            if !outbox.logs(&records, stop).await {
                return Ok(());
            }
            if let Some(cursor) = last {
                state_file::replace(cursor_file, cursor.as_bytes())?;
            }
        }
        if ended {
            let status = child.wait().await?;
            return Err(io::Error::other(format!("journalctl ended: {status}")));
        }
        if stop.is_requested() {
            return Ok(());
        }
    }
}

/// The cursor of the last run; none on the first, and none where a file holds nothing.
fn read_cursor(file: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|cursor| !cursor.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// One entry as a log record.
fn push(records: &mut Records, entry: &Map<String, Json>, context: Context) {
    let text = |name: &str| entry.get(name).and_then(Json::as_str).unwrap_or("");
    let first_attr = records.attrs.len() as u32;
    let service = [text("_SYSTEMD_UNIT"), text("SYSLOG_IDENTIFIER"), text("_COMM")];
    let service = service.into_iter().find(|name| !name.is_empty()).unwrap_or("journal");
    for (key, value) in [("service.name", service), ("host.name", text("_HOSTNAME"))] {
        let value = Value::Text(records.push_text(value));
        records.push_attr(key, value);
    }
    let resource = records.end_resource(first_attr);
    let first_attr = records.attrs.len() as u32;
    for (key, name) in [
        ("process.pid", "_PID"),
        ("process.executable.name", "_COMM"),
        ("syslog.identifier", "SYSLOG_IDENTIFIER"),
        ("log.transport", "_TRANSPORT"),
    ] {
        let found = text(name);
        if !found.is_empty() {
            let value = match found.parse() {
                Ok(number) if name == "_PID" => Value::Int(number),
                _ => Value::Text(records.push_text(found)),
            };
            records.push_attr(key, value);
        }
    }
    let mut fields = [Value::Null; record::columns(Signal::Logs).len()];
    let time = text("__REALTIME_TIMESTAMP").parse::<i64>().ok().and_then(|us| us.checked_mul(1000));
    fields[log::TIMESTAMP] = Value::Int(time.unwrap_or(context.received_at_ns));
    fields[log::OBSERVED_TIMESTAMP] = Value::Int(context.received_at_ns);
    if let Ok(priority) = text("PRIORITY").parse::<u8>() {
        let number = severity_of_syslog(priority);
        let text = severity_text(number).unwrap_or_default();
        fields[log::SEVERITY_NUMBER] = Value::Int(number);
        fields[log::SEVERITY_TEXT] = Value::Text(records.push_text(text));
    }
    fields[log::BODY] = Value::Text(records.push_text(message(entry.get("MESSAGE"))));
    let index = records.len() as u32;
    records.push_row(index, resource, first_attr, &fields);
}

/// A message that is no UTF-8 comes as an array of bytes.
fn message(value: Option<&Json>) -> String {
    match value {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(bytes)) => {
            let bytes: Vec<u8> = bytes
                .iter()
                .filter_map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok()))
                .collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_an_empty_one_is_none() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("journal.cursor");
        assert_eq!(read_cursor(&file).expect("none"), None);
        for (written, want) in [("s=1", Some("s=1")), ("s=2\n", Some("s=2")), ("", None), (" \n", None)] {
            state_file::replace(&file, written.as_bytes()).expect("written");
            assert_eq!(read_cursor(&file).expect("read").as_deref(), want, "{written:?}");
        }
    }

    #[test]
    fn an_entry_becomes_a_record() {
        let entry = serde_json::json!({
            "__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "1700000000000001", "PRIORITY": "3", "_PID": "42",
            "_SYSTEMD_UNIT": "web.service", "MESSAGE": [104, 105, 255], "_HOSTNAME": "here",
        });
        let mut records = Records::new(Signal::Logs);
        push(&mut records, entry.as_object().expect("object"), Context { received_at_ns: 7 });
        let fields = records.fields_of(0);
        assert_eq!(fields[log::TIMESTAMP], Value::Int(1_700_000_000_000_001_000));
        assert_eq!(fields[log::SEVERITY_NUMBER], Value::Int(17));
        assert_eq!(records.text_of(fields[log::BODY]), Some("hi\u{fffd}"));
        let service = records.find(records.resource_of(0), "service.name").expect("a service");
        assert_eq!(records.text_of(service), Some("web.service"));
        assert_eq!(records.find(records.attrs_of(0), "process.pid"), Some(Value::Int(42)));
    }
}
