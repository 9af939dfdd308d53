//! The client of a job, built when it is first needed and again when one of its files changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use kit::SharedClock;
use tokio::sync::Mutex;

use super::client::{HttpClient, files};
use super::config::HttpConfig;
use super::error::ScrapeError;

/// Makes clients of one configuration.
#[derive(Debug)]
pub(crate) struct ClientSource {
    config: HttpConfig,
    compression: bool,
    user_agent: String,
    clock: SharedClock,
    files: Vec<PathBuf>,
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    /// Size and time of change of every file when it was read.
    read: Vec<Option<(u64, SystemTime)>>,
    client: Result<Arc<HttpClient>, ScrapeError>,
}

impl ClientSource {
    pub(crate) fn new(config: HttpConfig, compression: bool, user_agent: &str, clock: SharedClock) -> Self {
        let (files, user_agent) = (files(&config), user_agent.to_owned());
        Self { config, compression, user_agent, clock, files, current: Mutex::new(None) }
    }

    /// The client. One that could not be made is tried again when a file changed.
    pub(crate) async fn get(&self) -> Result<Arc<HttpClient>, ScrapeError> {
        let mut read = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let metadata = tokio::fs::metadata(file).await.ok();
            read.push(metadata.and_then(|m| Some((m.len(), m.modified().ok()?))));
        }
        let mut current = self.current.lock().await;
        match current.as_ref() {
            Some(current) if current.read == read => current.client.clone(),
            _ => {
                let client = HttpClient::new(&self.config, self.compression, &self.user_agent, &self.clock);
                let client = client.map(Arc::new);
                *current = Some(Current { read, client: client.clone() });
                client
            }
        }
    }
}
