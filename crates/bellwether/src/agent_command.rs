//! `bellwether agent`.

use std::net::SocketAddr;

use agent::{Collect, Settings};
use kit::config::settings::LogLevel;
use kit::{ShutdownTrigger, SystemClock};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::AgentArguments;
use crate::compose::Failure;
use crate::logging;

/// Runs until a signal ends it.
pub(crate) fn run(arguments: &AgentArguments) -> Result<(), Failure> {
    logging::start_plain(LogLevel::Info);
    let settings = settings(arguments)?;
    // An agent has little to do at once, and stays small.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (trigger, stop) = ShutdownTrigger::new();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        kit::spawn::spawn("signals", async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            trigger.request();
        });
        tracing::info!(server = settings.url, "the agent is running");
        agent::run(settings, SystemClock::shared(), stop).await?;
        Ok(())
    })
}

fn settings(arguments: &AgentArguments) -> Result<Settings, Failure> {
    let [url, token] = arguments.join.as_slice() else { return Err("--join needs a URL and a token".into()) };
    let address = |text: &str| -> Result<Option<SocketAddr>, Failure> {
        match text {
            "off" => Ok(None),
            text => Ok(Some(text.parse().map_err(|_| format!("{text:?} is neither an address nor off"))?)),
        }
    };
    let listen = [address(&arguments.intake_grpc)?, address(&arguments.intake_http)?];
    let listen: Vec<SocketAddr> = listen.into_iter().flatten().collect();
    let mut open = listen.iter().chain(&arguments.syslog).chain(&arguments.statsd);
    if let Some(address) = open.find(|address| !address.ip().is_loopback()) {
        return Err(format!(
            "{address} is reachable from other machines, and the agent asks nobody for a key: use a loopback address"
        )
        .into());
    }
    let commands = match &arguments.commands {
        Some(file) => agent::read_allowed(file)?,
        None => agent::Allowed::new(),
    };
    Ok(Settings {
        url: url.clone(),
        token: token.clone(),
        folder: arguments.folder.clone(),
        buffer_bytes: arguments.buffer_bytes,
        listen,
        syslog: arguments.syslog,
        statsd: arguments.statsd,
        collect: Collect {
            host: !arguments.no_host,
            files: arguments.files.clone(),
            journal: arguments.journal,
            ..Collect::default()
        },
        commands,
    })
}
