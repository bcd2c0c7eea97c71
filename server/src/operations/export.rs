//! `faultline export`: the log as NDJSON, a CloudEvent a line, in the order of positions.
//!
//! Each line has `position`, `revision`, `stream` and `recordedtime`, by which `faultline import`
//! makes the same log of it.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use events::RecordedEvent;
use events::log::EventLog;
use serde_json::Value;

use super::client::Client;
use super::meter::Meter;
use super::{BaseArgs, ServerArgs, open_any_log};

/// Events read at once.
const PAGE: usize = 1_000;

/// What to export, and where to.
#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// Export what stands behind this position only
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,
    /// Write to this file instead of standard output; it must not exist
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Go on where an interrupted export to the same file stopped
    #[arg(long, requires = "output", conflicts_with = "after")]
    resume: bool,
}

/// Some events that follow each other.
struct Page {
    events: Vec<Value>,
    /// How many more there are that are not shown.
    withheld: u64,
    /// Where the next page begins.
    next: u64,
    /// Position of the last event that there is.
    head: u64,
}

/// Where events come from.
enum Source {
    Log(Arc<dyn EventLog>),
    Server { client: Client, limit: Option<u64> },
}

impl Source {
    async fn page(&mut self, after: u64) -> anyhow::Result<Page> {
        match self {
            Self::Log(log) => {
                let events = log.read_all(after, PAGE).await?;
                let next = events.last().map_or(after, |event| event.position);
                let events = events.iter().map(RecordedEvent::to_cloud_event).collect();
                Ok(Page { events, withheld: 0, next, head: log.head() })
            }
            Self::Server { client, limit } => {
                let limited = limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
                let mut page = client.get(&format!("/v1/events?after={after}{limited}")).await?;
                // How large a page may be, the server tells with the first.
                *limit = page["max_limit"].as_u64().map(|max| max.min(PAGE as u64));
                let head = page["head"].as_u64().context("the answer has no head")?;
                let next = page["next"].as_u64().context("the answer has no next")?;
                let withheld = page["withheld"].as_u64().context("the answer has no withheld")?;
                match page["events"].take() {
                    Value::Array(events) => Ok(Page { events, withheld, next, head }),
                    _ => bail!("the answer of {} has no list of events", client.server()),
                }
            }
        }
    }
}

/// Writes the events and answers how many there were.
pub async fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let mut source = match args.server.client()? {
        Some(client) => Source::Server { client, limit: None },
        None => Source::Log(open_any_log(&args.base.config()?, true).await?),
    };
    let Some(path) = &args.output else {
        let out = BufWriter::new(std::io::stdout().lock());
        return match write(&mut source, args.after, out).await {
            // `faultline export | head` is no failure.
            Err(error) if is_broken_pipe(&error) => Ok(()),
            written => written.map(drop),
        };
    };
    let (file, after) = match args.resume {
        true => resumed(path)?,
        false => (new(path)?, args.after),
    };
    let count = write(&mut source, after, BufWriter::new(&file)).await?;
    file.sync_all().with_context(|| format!("writing {}", path.display()))?;
    eprintln_count(count, path);
    Ok(())
}

fn eprintln_count(count: u64, path: &Path) {
    // Nobody may be reading.
    let _ = writeln!(std::io::stderr(), "{count} events exported to {}", path.display());
}

/// Up to the head as it is at the beginning: under load the end would move for ever. Every event
/// is there, or the export is none.
async fn write(source: &mut Source, mut after: u64, mut out: impl Write) -> anyhow::Result<u64> {
    let mut meter = Meter::new("exporting");
    let mut page = source.page(after).await?;
    let (begin, end, mut count) = (after, page.head, 0);
    while after < end {
        if page.withheld > 0 {
            out.flush()?;
            bail!(
                "{} events between positions {after} and {} are not shown: a whole export needs a \
                 token with the scope admin, which sees the audit too",
                page.withheld,
                page.next
            );
        }
        if page.next <= after {
            out.flush()?;
            bail!("nothing comes behind position {after}, though the log ends at {end}");
        }
        for event in &page.events {
            let position = event["position"].as_u64().context("an event without a position")?;
            if position > end {
                break;
            }
            serde_json::to_writer(&mut out, event)?;
            out.write_all(b"\n")?;
            count += 1;
        }
        after = page.next;
        meter.at(after.min(end) - begin, end.saturating_sub(begin));
        if after < end {
            page = source.page(after).await?;
        }
    }
    out.flush()?;
    meter.end();
    Ok(count)
}

fn new(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path).with_context(|| {
        format!("creating {} (--resume goes on with a file that is there)", path.display())
    })
}

/// The file without a torn last line, to be written behind it, and the position that it ends at.
fn resumed(path: &Path) -> anyhow::Result<(File, u64)> {
    let opening = || format!("opening {}", path.display());
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(opening)?;
    let mut reader = BufReader::new(&file);
    let (mut end, mut last, mut line) = (0, Vec::new(), Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).with_context(opening)?;
        if read == 0 || line.last() != Some(&b'\n') {
            break;
        }
        end += read as u64;
        std::mem::swap(&mut last, &mut line);
    }
    let after = if last.is_empty() {
        0
    } else {
        let event: Value = serde_json::from_slice(&last)
            .with_context(|| format!("the last line of {} is no event", path.display()))?;
        event["position"].as_u64().with_context(|| {
            format!("the last line of {} has no position: it is no export", path.display())
        })?
    };
    file.set_len(end).with_context(opening)?;
    file.seek(SeekFrom::Start(end)).with_context(opening)?;
    Ok((file, after))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let json = cause.downcast_ref::<serde_json::Error>().and_then(|e| e.io_error_kind());
        io.or(json) == Some(std::io::ErrorKind::BrokenPipe)
    })
}
