//! `faultline backup` and `faultline restore`: a base is copied while a server runs on it, and made
//! again of the copy.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use events::Timestamp;
use events::log::{Attached, Backup, Walked};

use super::meter::Meter;
use super::{BaseArgs, embedded_only, tell};
use crate::auth::TokenFile;
use crate::reactors::ReactorCheckpoint;

/// What to back up, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct BackupArgs {
    #[command(flatten)]
    base: BaseArgs,
    /// Folder of the backup: an empty one, or that of an earlier backup of this base, to which
    /// only what is new is copied
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
}

/// What to restore, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    base: BaseArgs,
    /// Folder of the backup
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// Read and check the whole backup, and restore nothing
    #[arg(long)]
    check: bool,
}

/// Copies the base; a server may run on it.
pub async fn back_up(args: BackupArgs) -> anyhow::Result<()> {
    let config = args.base.config()?;
    embedded_only(&config)?;
    let (data, log) = (config.storage.data.clone(), config.storage.log_dir());
    let to = args.to.clone();
    let taken = blocking("copying (KiB)", move |told| {
        let mut backup = Backup::open(&to)?;
        // Before the log: what they say of it is in the copy then.
        let attached = attached(&data)?;
        Ok(backup.take(&log, &attached, Timestamp::now(), told)?)
    })
    .await
    .with_context(|| format!("backing up {}", config.storage.data.display()))?;
    let Walked { position, chain } = taken.head;
    tell(&format!(
        "{}: {position} events, {} of {} segments copied, {} of {} bytes",
        args.to.display(),
        taken.copied,
        taken.segments,
        taken.copied_bytes,
        taken.bytes
    ))?;
    tell(&format!("head: {chain}@{position}"))
}

/// Makes a base of a backup in an empty folder.
pub async fn restore(args: RestoreArgs) -> anyhow::Result<()> {
    let config = args.base.config()?;
    embedded_only(&config)?;
    let data = config.storage.data;
    let (from, into, check) = (args.from.clone(), data.clone(), args.check);
    let what = if check { "checking (KiB)" } else { "restoring (KiB)" };
    let (made_at, head) = blocking(what, move |told| {
        let backup = Backup::existing(&from)?;
        let head = if check { backup.check(told)? } else { backup.restore(&into, told)? };
        let manifest = backup.manifest().context("a backup that was read has a manifest")?;
        Ok((manifest.made_at, head))
    })
    .await
    .with_context(|| format!("reading the backup in {}", args.from.display()))?;
    let Walked { position, chain } = head;
    let events = format!("{position} events, backed up at {made_at}");
    if check {
        tell(&format!("{}: sound, {events}", args.from.display()))?;
    } else {
        tell(&format!("{}: {events}; the graph is made when it is opened", data.display()))?;
    }
    tell(&format!("head: {chain}@{position}"))
}

/// The files beside the log that cannot be made again.
fn attached(data: &Path) -> anyhow::Result<Vec<Attached>> {
    let mut attached = Vec::new();
    for name in [ReactorCheckpoint::FILE, TokenFile::NAME] {
        let path = data.join(name);
        match std::fs::read(&path) {
            Ok(content) => attached.push(Attached { name: name.to_owned(), content }),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}", path.display()));
            }
        }
    }
    Ok(attached)
}

/// Runs `work` where it may block, and shows how many bytes are done.
async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce(&mut dyn FnMut(u64, u64)) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let done = tokio::task::spawn_blocking(move || {
        let mut meter = Meter::new(what);
        let done = work(&mut |done, total| meter.at(done >> 10, total >> 10));
        meter.end();
        done
    });
    match done.await {
        Ok(done) => done,
        Err(error) => bail!("{what}: {error}"),
    }
}
