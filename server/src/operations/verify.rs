//! `faultline verify`: the log is what was acknowledged, the graph is what the log says.

use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, bail};
use events::log::{ChainHash, EmbeddedLog, EventLog, Verified, Walked};
use schema::rebuild::{RebuildProgress, check};
use tokio::sync::watch;

use super::meter::Meter;
use super::rebuild::shown;
use super::{BaseArgs, open_log, tell};
use crate::http::error::chain;
use crate::log::LogError;

/// What to verify.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    base: BaseArgs,
    /// Fold the log into a fresh store too, and hold the graph against it
    #[arg(long)]
    graph: bool,
    /// A head that `verify` printed earlier: the log must still contain it. Given several times,
    /// the last that holds and the first that does not are named
    #[arg(long, value_name = "HASH@POSITION")]
    expect: Vec<Head>,
}

/// A position and the hash of everything up to it, as `verify` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    position: u64,
    chain: ChainHash,
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (chain, position) =
            text.split_once('@').ok_or_else(|| format!("expected HASH@POSITION, got {text:?}"))?;
        let chain =
            chain.parse().map_err(|error: events::log::ParseChainError| error.to_string())?;
        let position =
            position.parse().map_err(|_| format!("expected a position, got {position:?}"))?;
        Ok(Self { position, chain })
    }
}

/// What the log says of an expected head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// The same.
    Same,
    /// Another hash.
    Other(ChainHash),
    /// No group of records ends there.
    NoEnd,
}

/// Exits with 0 when all holds and with 1 when something does not.
pub async fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let config = args.base.config()?;
    let url = config.storage.graph_url();
    if args.graph && url == "mem://" {
        bail!("the graph is in memory only: there is nothing to verify while no server runs");
    }
    let log = match open_log(&config, true).await {
        Ok(log) => Arc::new(log),
        Err(error) if is_damage(&error) => return failed(&format!("log: {error:#}")),
        Err(error) => return Err(error),
    };
    let mut expected = args.expect.clone();
    expected.sort_by_key(|head| head.position);
    let (verified, found) = match walk(log.clone(), expected.clone()).await? {
        Ok(walked) => walked,
        Err(what) => return failed(&format!("log: {what}")),
    };
    let Verified { position, chain, segments, streams } = verified;
    tell(&format!("log: sound, {position} events in {streams} streams and {segments} segments"))?;
    tell(&format!("head: {chain}@{position}"))?;
    if let Some(divergence) = divergence(&expected, &found, position) {
        return failed(&divergence);
    }
    if args.graph { graph(&url, &log).await } else { Ok(ExitCode::SUCCESS) }
}

fn failed(what: &str) -> anyhow::Result<ExitCode> {
    tell(what)?;
    Ok(ExitCode::FAILURE)
}

fn is_damage(error: &anyhow::Error) -> bool {
    use events::log::OpenError;
    matches!(
        error.downcast_ref(),
        Some(LogError::Embedded { source: OpenError::Damaged { .. }, .. })
    )
}

type Seen = (Verified, Vec<Found>);

/// Walks the log; the inner error is what is wrong with it.
async fn walk(log: Arc<EmbeddedLog>, expected: Vec<Head>) -> anyhow::Result<Result<Seen, String>> {
    tokio::task::spawn_blocking(move || {
        let mut meter = Meter::new("verifying");
        let mut found = vec![Found::NoEnd; expected.len()];
        let head = log.head();
        let mut seen = |Walked { position, chain }: Walked| {
            meter.at(position, head);
            for (head, found) in expected.iter().zip(&mut found) {
                if head.position == position {
                    let same = head.chain == chain;
                    *found = if same { Found::Same } else { Found::Other(chain) };
                }
            }
        };
        let verified = log.verify(&mut seen);
        meter.end();
        verified.map(|verified| (verified, found)).map_err(|error| chain(&error))
    })
    .await
    .context("walking the log")
}

/// Where the log stops being the one that was published, if it does.
fn divergence(expected: &[Head], found: &[Found], end: u64) -> Option<String> {
    let first = found.iter().position(|found| *found != Found::Same)?;
    let (head, found) = (expected[first], found[first]);
    let after = match first.checked_sub(1) {
        Some(before) => format!("behind position {}, which still holds", expected[before].position),
        None => "at or before it".to_owned(),
    };
    let Head { position, chain } = head;
    Some(match found {
        Found::Other(other) => format!(
            "log: diverges: position {position} had the hash {chain} and has {other}; the history \
             was altered {after}"
        ),
        _ if position > end => format!(
            "log: diverges: it reached position {position} and ends at {end}; the end was cut off"
        ),
        _ => format!(
            "log: diverges: no group of events ends at position {position} any more; the history \
             was written anew {after}"
        ),
    })
}

async fn graph(url: &str, log: &EmbeddedLog) -> anyhow::Result<ExitCode> {
    let progress = watch::Sender::new(RebuildProgress::default());
    let mut meter = Meter::new("folding");
    let checked = shown(check(url, log, &progress), progress.subscribe(), &mut meter).await?;
    let (position, content) = (checked.position, checked.content);
    match checked.difference {
        None => {
            tell(&format!("graph: sound up to position {position}, content hash {content}"))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(difference) => failed(&format!(
            "graph: not what the log says up to position {position}: {difference}; \
             `faultline rebuild` makes it again"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(digit: &str, position: u64) -> Head {
        format!("{}@{position}", digit.repeat(64)).parse().unwrap()
    }

    #[test]
    fn a_published_head_is_read_and_anything_else_refused() {
        let text = format!("{}@42", "ab".repeat(32));
        let read: Head = text.parse().unwrap();
        assert_eq!(format!("{}@{}", read.chain, read.position), text);
        for wrong in ["", "ab@1", &"a".repeat(64), &format!("{}@x", "a".repeat(64))] {
            assert!(wrong.parse::<Head>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_divergence_lies_between_the_last_that_holds_and_the_first_that_does_not() {
        let expected = [head("a", 10), head("b", 20), head("c", 30)];
        let other = head("d", 20).chain;
        assert_eq!(divergence(&expected, &[Found::Same; 3], 40), None);
        let found = [Found::Same, Found::Other(other), Found::NoEnd];
        let told = divergence(&expected, &found, 40).unwrap();
        assert!(told.contains("position 20") && told.contains("behind position 10"), "{told}");
        let told = divergence(&expected, &[Found::NoEnd; 3], 40).unwrap();
        assert!(told.contains("position 10") && told.contains("at or before"), "{told}");
        let told = divergence(&expected, &[Found::Same, Found::Same, Found::NoEnd], 25).unwrap();
        assert!(told.contains("ends at 25"), "{told}");
    }
}
