//! `faultline token`: makes, lists and takes back tokens. They are kept in the data folder, with
//! the hashes of their secrets; a running server notices.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Subcommand;
use comfy_table::{ContentArrangement, Table, presets};
use events::value::Line;
use events::{Timestamp, TokenId};
use jiff::{SignedDuration, Span, SpanRelativeTo};

use crate::auth::{NewToken, Scope, Scopes, TokenFile, TokenRecord};
use crate::config::{Flags, load};

/// What to do with tokens, and where they are.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// Read settings from this TOML file
    #[arg(long, value_name = "FILE", env = "FAULTLINE_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// Folder of the event log and the graph [default: faultline-data]
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    command: TokenCommand,
}

/// See [`TokenArgs`].
#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token and print it, once
    Create {
        /// Who or what uses it; the audit names it
        #[arg(long, value_parser = name)]
        name: Line,
        /// What it is good for: ingest, read, label or admin; may be given several times
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<Scope>,
        /// How long it is good, such as 90d or 12h [default: until it is taken back]
        #[arg(long, value_name = "TIME", value_parser = lifetime)]
        expires: Option<SignedDuration>,
        /// Keep nothing; print the [[auth.tokens]] entry for the configuration as well
        #[arg(long)]
        print_entry: bool,
    },
    /// List the tokens of the data folder
    List,
    /// Take a token back
    Revoke {
        /// The token's id: the middle of flt_ID_…
        id: TokenId,
    },
}

fn name(text: &str) -> Result<Line, String> {
    Line::new(text).map_err(|error| error.to_string())
}

fn lifetime(text: &str) -> Result<SignedDuration, String> {
    let span: Span =
        text.parse().map_err(|_| format!("expected a time such as 90d or 12h, got {text:?}"))?;
    let lifetime = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| format!("expected weeks, days, hours or less, got {text:?}"))?;
    if lifetime.is_positive() { Ok(lifetime) } else { Err("expected more than nothing".to_owned()) }
}

/// Carries it out; answers what to print.
pub fn run(args: TokenArgs, now: Timestamp) -> anyhow::Result<String> {
    let flags = Flags { config: args.config, data: args.data, ..Flags::default() };
    let config = load(&flags)?;
    let file = TokenFile::of(&config.storage.data);
    match args.command {
        TokenCommand::Create { name, scopes, expires, print_entry } => {
            create(&file, now, name, Scopes::new(scopes), expires, print_entry)
        }
        TokenCommand::List => Ok(table(&file.read()?, now)),
        TokenCommand::Revoke { id } => revoke(&file, now, &id),
    }
}

fn create(
    file: &TokenFile,
    now: Timestamp,
    name: Line,
    scopes: Scopes,
    expires: Option<SignedDuration>,
    print_entry: bool,
) -> anyhow::Result<String> {
    let token = NewToken::generate();
    let expires_at = expires
        .map(|expires| now.checked_add(expires).context("the token would expire too late"))
        .transpose()?;
    let record = TokenRecord {
        id: token.id.clone(),
        name,
        scopes,
        hash: token.hash.clone(),
        created_at: Some(now),
        expires_at,
        revoked_at: None,
    };
    if print_entry {
        let entry = toml::to_string(&record)?;
        return Ok(format!("{}\n\n[[auth.tokens]]\n{entry}", token.reveal()));
    }
    file.change(|tokens| tokens.push(record))?;
    Ok(token.reveal())
}

fn revoke(file: &TokenFile, now: Timestamp, id: &TokenId) -> anyhow::Result<String> {
    let revoked = file.change(|tokens| {
        let token = tokens.iter_mut().find(|token| token.id == *id)?;
        Some((token.name.clone(), *token.revoked_at.get_or_insert(now)))
    })?;
    match revoked {
        Some((name, at)) => {
            Ok(format!("token {id} of {:?} is taken back since {at}", name.as_str()))
        }
        None => bail!("no token has the id {id:?}; faultline token list shows them"),
    }
}

fn table(tokens: &[TokenRecord], now: Timestamp) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["ID", "NAME", "SCOPES", "CREATED", "STATE"]);
    for token in tokens {
        let state = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => format!("taken back {at}"),
            (None, Some(at)) if at <= now => format!("expired {at}"),
            (None, Some(at)) => format!("good until {at}"),
            (None, None) => "good".to_owned(),
        };
        let created = token.created_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        let name = token.name.as_str().to_owned();
        table.add_row([token.id.to_string(), name, token.scopes.to_string(), created, state]);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_read_as_people_write_them() {
        assert_eq!(lifetime("90d"), Ok(SignedDuration::from_hours(90 * 24)));
        assert_eq!(lifetime("2w"), Ok(SignedDuration::from_hours(14 * 24)));
        assert_eq!(lifetime("1h30m"), Ok(SignedDuration::from_mins(90)));
        for wrong in ["", "soon", "-1d", "0s", "1mo"] {
            assert!(lifetime(wrong).is_err(), "{wrong:?}");
        }
    }
}
