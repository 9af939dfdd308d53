//! Commands of runbooks: the agent asks the server for one that it allows, runs it, and says what came of it.
//!
//! Only commands of the agent's own file are run, each with the arguments that stand there; the server chooses by name.
//! What the server sends along becomes environment variables, never a part of the command line, and no shell reads it.

use std::collections::{BTreeMap, VecDeque};
use std::process::Stdio;
use std::time::Duration;

use kit::Shutdown;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// How often the server is asked.
const EVERY: Duration = Duration::from_secs(2);
/// Bytes of output that are kept: the last ones.
const OUTPUT_BYTES_MAX: usize = 60 << 10;
/// Attempts at telling how a command ended, with a wait between that doubles to a minute: about a quarter of an hour.
const REPORTS_MAX: u32 = 20;
/// Before the names of environment variables that hold arguments.
const PREFIX: &str = "RUNBOOK_";

/// Commands by name, as the agent's own file lists them: `{"restart-nginx": ["systemctl", "restart", "nginx"]}`.
pub type Allowed = BTreeMap<String, Vec<String>>;

/// Reads a file of commands. The error names the file and what is wrong with it.
pub fn read_allowed(file: &std::path::Path) -> Result<Allowed, String> {
    let wrong = |message: String| format!("{}: {message}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let allowed: Allowed = serde_json::from_str(&text)
        .map_err(|error| wrong(format!("{error}; write {{\"name\": [\"program\", \"argument\"]}}")))?;
    match allowed.iter().find(|(_, command)| command.is_empty()) {
        None => Ok(allowed),
        Some((name, _)) => Err(wrong(format!("the command {name:?} is empty"))),
    }
}

/// What is to be done.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    id: String,
    action: String,
    arguments: BTreeMap<String, String>,
    timeout_ms: u64,
}

/// What came of it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Report {
    Started,
    #[serde(rename_all = "camelCase")]
    Ended {
        exit_code: i64,
        output: String,
    },
    Failed {
        error: String,
        output: String,
    },
    TimedOut {
        output: String,
    },
}

/// Asks for commands and runs them, one at a time.
pub(crate) struct Remediation {
    http: reqwest::Client,
    base: String,
    token: String,
    host: String,
    allowed: Allowed,
}

impl Remediation {
    pub(crate) fn new(url: &str, token: &str, host: &str, allowed: Allowed) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
        let base = format!("{}/api/v1/monitoring/remediations", url.trim_end_matches('/'));
        Ok(Self { http, base, token: token.to_owned(), host: host.to_owned(), allowed })
    }

    /// Until asked to stop; a command that runs is stopped with the agent.
    pub(crate) async fn run(&self, stop: &Shutdown) {
        while !stop.is_requested() {
            if let Some(run) = self.claim().await {
                tokio::select! {
                    () = self.carry_out(&run) => continue,
                    () = stop.requested() => return,
                }
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stop.requested() => {}
            }
        }
    }

    async fn claim(&self) -> Option<Run> {
        let commands: Vec<&String> = self.allowed.keys().collect();
        let labels = json!({ "host": self.host });
        let body = json!({ "agent": self.host, "labels": labels, "commands": commands });
        let url = format!("{}/claim", self.base);
        let sent = self.http.post(url).bearer_auth(&self.token).header("content-type", "application/json");
        let answer = sent.body(body.to_string()).send().await.ok()?;
        if answer.status().as_u16() == 204 {
            return None;
        }
        if !answer.status().is_success() {
            tracing::debug!(status = %answer.status(), "the server gives no commands");
            return None;
        }
        serde_json::from_slice(&answer.bytes().await.ok()?).ok()
    }

    async fn carry_out(&self, run: &Run) {
        tracing::info!(run = run.id, command = run.action, "a runbook's command begins");
        self.tell(run, &Report::Started, 1).await;
        let report = match self.allowed.get(&run.action) {
            // The server gives only what was offered; it is looked up all the same.
            None => {
                Report::Failed { error: "this agent does not allow it".to_owned(), output: String::new() }
            }
            Some(command) => perform(command, &run.arguments, Duration::from_millis(run.timeout_ms)).await,
        };
        tracing::info!(run = run.id, command = run.action, "a runbook's command ended");
        self.tell(run, &report, REPORTS_MAX).await;
    }

    async fn tell(&self, run: &Run, report: &Report, attempts: u32) {
        let url = format!("{}/{}/report", self.base, run.id);
        let mut body = serde_json::to_value(report).unwrap_or(Value::Null);
        body["agent"] = self.host.clone().into();
        for attempt in 0..attempts {
            let sent =
                self.http.post(&url).bearer_auth(&self.token).header("content-type", "application/json");
            match sent.body(body.to_string()).send().await {
                Ok(answer) if answer.status().is_success() => return,
                // The server will not take it, however often it is told.
                Ok(answer) if answer.status().is_client_error() && answer.status().as_u16() != 429 => {
                    tracing::warn!(run = run.id, status = %answer.status(), "the server does not take what came of a command");
                    return;
                }
                _ => {}
            }
            if attempt + 1 < attempts {
                tokio::time::sleep(Duration::from_secs(1 << attempt.min(6)).min(Duration::from_secs(60)))
                    .await;
            }
        }
    }
}

/// Runs a command with its arguments in the environment, and gives its output as far as it is kept.
async fn perform(command: &[String], arguments: &BTreeMap<String, String>, limit: Duration) -> Report {
    let Some((program, rest)) = command.split_first() else {
        return Report::Failed { error: "the command is empty".to_owned(), output: String::new() };
    };
    let variables = arguments.iter().map(|(name, value)| (format!("{PREFIX}{}", name.to_uppercase()), value));
    let mut prepared = Command::new(program);
    prepared.args(rest).envs(variables).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that whatever it started ends with it.
    let mut child = match prepared.kill_on_drop(true).process_group(0).spawn() {
        Ok(child) => child,
        Err(error) => {
            let error = format!("{program} cannot be started: {error}");
            return Report::Failed { error, output: String::new() };
        }
    };
    let mut output = Tail::default();
    let ended = tokio::time::timeout(limit, wait(&mut child, &mut output)).await;
    let output_text = |output: Tail| output.text();
    match ended {
        Err(_) => {
            end(&mut child).await;
            Report::TimedOut { output: output_text(output) }
        }
        Ok(Err(error)) => Report::Failed { error: error.to_string(), output: output_text(output) },
        Ok(Ok(status)) => match status.code() {
            Some(code) => Report::Ended { exit_code: code.into(), output: output_text(output) },
            None => Report::Failed { error: format!("it was ended: {status}"), output: output_text(output) },
        },
    }
}

/// Ends a command and whatever it started.
async fn end(child: &mut Child) {
    if let Some(group) = child.id() {
        let mut kill = Command::new("kill");
        kill.args(["-KILL", "--", &format!("-{group}")]).stdin(Stdio::null()).stderr(Stdio::null());
        if let Err(error) = kill.status().await {
            tracing::warn!(%error, "what a command started may go on");
        }
    }
    let _ = child.kill().await;
}

/// Until the command ended; what it leaves running keeps its output open and is not waited for.
async fn wait(child: &mut Child, output: &mut Tail) -> std::io::Result<std::process::ExitStatus> {
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let (mut of_out, mut of_err) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            biased;
            count = read(&mut out, &mut of_out) => output.push(&of_out[..count?]),
            count = read(&mut err, &mut of_err) => output.push(&of_err[..count?]),
            status = child.wait() => {
                // What was written before the end is still there to be read.
                for _ in 0..OUTPUT_BYTES_MAX / 4096 {
                    let rest = tokio::time::timeout(Duration::from_millis(50), async {
                        tokio::select! {
                            count = read(&mut out, &mut of_out) => count.map(|count| output.push(&of_out[..count])),
                            count = read(&mut err, &mut of_err) => count.map(|count| output.push(&of_err[..count])),
                        }
                    });
                    if rest.await.is_err() {
                        break;
                    }
                }
                return status;
            }
        }
    }
}

/// Reads some; a stream that ended is never ready again.
async fn read(stream: &mut Option<impl AsyncRead + Unpin>, into: &mut [u8]) -> std::io::Result<usize> {
    let Some(open) = stream else { return std::future::pending().await };
    match open.read(into).await {
        Ok(0) => {
            *stream = None;
            std::future::pending().await
        }
        other => other,
    }
}

/// The end of what was written.
#[derive(Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let over = self.0.len().saturating_sub(OUTPUT_BYTES_MAX);
        self.0.drain(..over);
    }

    fn text(mut self) -> String {
        String::from_utf8_lossy(self.0.make_contiguous()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn done(script: &str, limit: Duration) -> Report {
        let command = ["sh", "-c", script].map(str::to_owned);
        let arguments = [("host".to_owned(), "web-1; echo no".to_owned())].into();
        perform(&command, &arguments, limit).await
    }

    #[tokio::test]
    async fn a_command_gets_its_arguments_as_environment_and_its_end_is_told() {
        let minute = Duration::from_secs(60);
        let ended = done("printf '%s' \"$RUNBOOK_HOST\"; printf ' err' >&2; exit 3", minute).await;
        let Report::Ended { exit_code, output } = ended else { panic!("{ended:?}") };
        assert_eq!((exit_code, output.contains("web-1; echo no"), output.contains("err")), (3, true, true));
        let none = perform(&["/nowhere/x".to_owned()], &BTreeMap::new(), minute).await;
        assert!(matches!(&none, Report::Failed { error, .. } if error.contains("/nowhere/x")), "{none:?}");
        let killed = done("kill -9 $$", minute).await;
        assert!(matches!(&killed, Report::Failed { .. }), "{killed:?}");
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_stopped_and_long_output_keeps_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let pid = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; echo begun; wait", pid.display());
        let slow = done(&script, Duration::from_millis(500)).await;
        assert_eq!(slow, Report::TimedOut { output: "begun\n".to_owned() });
        let pid = std::fs::read_to_string(pid).expect("written");
        let gone = || match std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        for _ in 0..100 {
            if gone() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(gone(), "what it started goes on");
        let long = done("head -c 200000 /dev/zero | tr '\\0' x; echo the end", Duration::from_secs(60)).await;
        let Report::Ended { exit_code: 0, output } = long else { panic!("{long:?}") };
        assert!(output.len() <= OUTPUT_BYTES_MAX && output.ends_with("the end\n"), "{}", output.len());
        // What goes on in the background is not waited for.
        let left = done("sleep 600 & echo left", Duration::from_secs(60)).await;
        assert_eq!(left, Report::Ended { exit_code: 0, output: "left\n".to_owned() });
    }

    #[test]
    fn a_file_of_commands_is_a_map_of_lists() {
        let folder = tempfile::tempdir().expect("a folder");
        for (text, good) in [
            (r#"{"restart": ["systemctl", "restart", "nginx"]}"#, true),
            ("{}", true),
            (r#"{"restart": "systemctl restart nginx"}"#, false),
            (r#"{"restart": []}"#, false),
            ("restart", false),
        ] {
            let file = folder.path().join("commands.json");
            std::fs::write(&file, text).expect("written");
            assert_eq!(read_allowed(&file).is_ok(), good, "{text}");
        }
        assert!(read_allowed(&folder.path().join("none")).is_err());
    }
}
