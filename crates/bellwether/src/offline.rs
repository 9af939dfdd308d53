//! Commands that need no running server: configuration, backup and restore.

use std::path::Path;
use std::sync::Arc;

use kit::{Clock, SystemClock};
use store::Engine;
use store::disk::{Disk, RealDisk};

use crate::args::{Arguments, ConfigAction, VerifyArguments};
use crate::compose::{Failure, data_folder, load};
use crate::remote::time;

/// Says what is wrong with the configuration, or that nothing is.
pub(crate) fn check_config(arguments: &Arguments) -> Result<(), Failure> {
    let config = load(arguments)?;
    for warning in config.warnings() {
        println!("warning: {warning}");
    }
    println!("the configuration is valid");
    Ok(())
}

/// Prints every option.
pub(crate) fn config(arguments: &Arguments, action: &ConfigAction) -> Result<(), Failure> {
    let ConfigAction::Print { with_source } = action;
    for row in load(arguments)?.rows() {
        if *with_source {
            println!("{} = {}    # {}", row.key, row.value, row.source);
        } else {
            println!("{} = {}", row.key, row.value);
        }
    }
    Ok(())
}

/// Copies the stopped server's data.
pub(crate) fn backup(arguments: &Arguments, to: &Path, with_secret_key: bool) -> Result<(), Failure> {
    let settings = load(arguments)?.settings();
    let data = data_folder(&settings);
    let engine = Engine::open(Arc::new(RealDisk::open(&data)?), store::Settings::default())?;
    engine.replay_all()?;
    std::fs::create_dir_all(to)?;
    let target: Arc<dyn Disk> = Arc::new(RealDisk::open(to)?);
    let copied = engine.backup(&target, SystemClock::new().now_ms())?;
    copy_databases(&data, to)?;
    let key = server::secret_key_file(&settings, &data);
    if with_secret_key {
        std::fs::copy(&key, to.join("secret.key"))?;
    } else if key.exists() {
        println!(
            "{} is not in the copy: without it stored secrets (second factors, client secrets) cannot be read; keep \
             it elsewhere, or use --with-secret-key",
            key.display()
        );
    }
    println!("{} holds a copy of {}: {copied:?}", to.display(), data.display());
    Ok(())
}

/// Verifies the audit logs of a stopped server.
pub(crate) fn verify_audit(arguments: &Arguments, verify: &VerifyArguments) -> Result<(), Failure> {
    let settings = load(arguments)?.settings();
    let data = data_folder(&settings);
    if !data.exists() {
        return Err(
            format!("there is no data folder {}: name the server's with --data", data.display()).into()
        );
    }
    let now_ms = SystemClock::new().now_ms();
    let moment = |text: &Option<String>| -> Result<Option<i64>, Failure> {
        let seconds = text.as_deref().map(|text| time(text, now_ms as f64 / 1e3)).transpose()?;
        Ok(seconds.map(|seconds| (seconds * 1e9) as i64))
    };
    let (start_ns, end_ns) = (moment(&verify.from)?, moment(&verify.to)?.unwrap_or(i64::MAX));
    let tenant = verify.tenant.as_deref().map(model::TenantId::new).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let found =
        runtime.block_on(server::verify_offline(&settings, &data, tenant.as_ref(), start_ns, end_ns))?;
    let mut tampered = Vec::new();
    for (tenant, verified) in found {
        match verified.tampered {
            None => println!("{tenant}: {} rows fit, {} anchors", verified.rows, verified.anchors),
            Some(bad) => tampered.push(format!("tenant {tenant}, node {}: {}", bad.node, bad.what)),
        }
    }
    if tampered.is_empty() {
        return Ok(());
    }
    Err(format!("the audit log was tampered with: {}", tampered.join("; ")).into())
}

/// Fills an empty data folder.
pub(crate) fn restore(arguments: &Arguments, from: &Path) -> Result<(), Failure> {
    let settings = load(arguments)?.settings();
    let data = data_folder(&settings);
    std::fs::create_dir_all(&data)?;
    let (source, target): (Arc<dyn Disk>, Arc<dyn Disk>) =
        (Arc::new(RealDisk::open(from)?), Arc::new(RealDisk::open(&data)?));
    let copied = store::restore(&source, &target)?;
    copy_databases(from, &data)?;
    let key = from.join("secret.key");
    if key.exists() {
        std::fs::copy(key, server::secret_key_file(&settings, &data))?;
    }
    println!("{} is restored from {}: {copied:?}", data.display(), from.display());
    Ok(())
}

/// SQLite files with their journals, of a server that does not run.
fn copy_databases(from: &Path, to: &Path) -> Result<(), Failure> {
    for folder in ["", "tenants"] {
        let Ok(entries) = std::fs::read_dir(from.join(folder)) else { continue };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if [".db", ".db-wal", ".db-shm"].iter().any(|end| name.ends_with(end)) {
                std::fs::create_dir_all(to.join(folder))?;
                std::fs::copy(&path, to.join(folder).join(&name))?;
            }
        }
    }
    Ok(())
}
