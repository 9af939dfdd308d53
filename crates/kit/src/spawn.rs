//! The one place where tasks and threads start, so that each has a name and a simulation can find them.

use std::io;
use std::thread;

use tokio::task::JoinHandle;
use tracing::Instrument;

/// Starts a task under a span that carries its name. Must be called inside a runtime.
pub fn spawn<F>(name: &'static str, work: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(work.instrument(tracing::debug_span!("task", name)))
}

/// Runs work that blocks on a thread kept for that. Must be called inside a runtime.
pub fn spawn_blocking<F, R>(name: &'static str, work: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let span = tracing::debug_span!("blocking", name);
    tokio::task::spawn_blocking(move || span.in_scope(work))
}

/// Starts a thread of its own for work that lasts as long as the process. The name shows in `top` and in
/// backtraces; Linux keeps its first 15 bytes.
pub fn thread<F, R>(name: &str, work: F) -> io::Result<thread::JoinHandle<R>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_carries_its_name() {
        let seen = thread("kit-test", || thread::current().name().map(str::to_owned)).unwrap();
        assert_eq!(seen.join().unwrap().as_deref(), Some("kit-test"));
    }

    #[tokio::test]
    async fn tasks_and_blocking_work_return_their_value() {
        assert_eq!(spawn("one", async { 1 }).await.unwrap(), 1);
        assert_eq!(spawn_blocking("two", || 2).await.unwrap(), 2);
    }
}
