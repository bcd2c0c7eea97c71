//! `faultline seed`: recorded incidents for a base that has none of its own yet.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use events::log::{EmbeddedLog, EventLog, RestoreError};
use serde_json::Value;

use super::import::{ImportError, Imported, Mode, import};
use super::lines::Lines;
use super::{BaseArgs, open_log};

/// The folder's name in the repository.
const FOLDER: &str = "seed-data";

/// What to load, and into what.
#[derive(Clone, Debug, clap::Args)]
pub struct SeedArgs {
    #[command(flatten)]
    base: BaseArgs,
    /// NDJSON files [default: all of --from, by name]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder of NDJSON files [default: seed-data, here or where the program was built]
    #[arg(long, value_name = "DIR", conflicts_with = "files")]
    from: Option<PathBuf>,
}

/// Loads recorded incidents into the base on this machine; a second time loads nothing twice.
pub async fn run(args: &SeedArgs) -> anyhow::Result<()> {
    let files = match (&args.from, args.files.is_empty()) {
        (_, false) => args.files.clone(),
        (Some(folder), true) => files_of(folder)?,
        (None, true) => {
            let folder = find().with_context(|| {
                format!("no folder {FOLDER} is here or above the program; --from names one")
            })?;
            files_of(&folder)?
        }
    };
    let config = args.base.config()?;
    let log = open_log(&config, false).await?;
    let seeded = seed(&log, &config.storage.data, &files).await?;
    let (read, new, head) = (seeded.read, seeded.new, log.head());
    super::tell(&format!("{read} events read, {new} new; the log is at position {head}"))
}

/// Loads files as they were recorded when the log is empty or holds a beginning of them, else
/// behind what the log has.
pub(crate) async fn seed(
    log: &EmbeddedLog,
    data: &Path,
    files: &[PathBuf],
) -> anyhow::Result<Imported> {
    let before = log.head();
    if begins_like(log, files).await? {
        match import(log, data, files, Mode::Restore).await {
            // The log goes on otherwise than the files.
            Err(ImportError::Restore { source: RestoreError::Diverges { .. }, .. }) => {}
            restored => return Ok(restored?),
        }
    }
    let Imported { read, .. } = import(log, data, files, Mode::Append).await?;
    Ok(Imported { read, new: log.head() - before })
}

/// The folder of recorded incidents: in the working folder, or above the program as it is built.
pub(crate) fn find() -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let above = program.iter().flat_map(|program| program.ancestors().skip(1).take(4));
    let candidates = std::iter::once(Path::new("")).chain(above).map(|at| at.join(FOLDER));
    candidates.into_iter().find(|folder| files_of(folder).is_ok())
}

/// The NDJSON files of a folder by name; there is at least one.
pub(crate) fn files_of(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = folder.read_dir().with_context(|| format!("reading {}", folder.display()))?;
    let mut files = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("reading {}", folder.display()))?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "ndjson"));
    files.sort();
    if files.is_empty() {
        bail!("{} holds no .ndjson file", folder.display());
    }
    Ok(files)
}

/// Whether the files, one behind the other, are one export from its first event on, and the log
/// holds a beginning of it or nothing.
async fn begins_like(log: &EmbeddedLog, files: &[PathBuf]) -> anyhow::Result<bool> {
    let mut positions = Vec::new();
    let mut first_id = None;
    for file in files {
        let Some(line) = Lines::open(file)?.batch()?.into_iter().next() else { continue };
        let event: Value = serde_json::from_str(&line.text)
            .with_context(|| format!("{}: not_json", line.place))?;
        first_id = first_id.or_else(|| event["id"].as_str().map(str::to_owned));
        positions.push(event["position"].as_u64());
    }
    let one_export = positions.first() == Some(&Some(1)) && positions.is_sorted();
    let Some(at_first) = log.read_all(0, 1).await?.pop() else { return Ok(one_export) };
    Ok(one_export && Some(at_first.event.id.to_string()) == first_id)
}
