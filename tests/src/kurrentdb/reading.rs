//! Reads of streams and of `$all`, and subscriptions to `$all`.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use tonic::Status;

use super::Cluster;
use super::proto::common;
use super::proto::streams::read_req::{Options, options};
use super::proto::streams::read_resp::{self, Content};
use super::proto::streams::{ReadResp, read_req};
use super::services::{deleted, name, uuid};
use super::state::Record;

/// A subscription says where it is after so many records that its filter left out.
const CHECKPOINT_EVERY: usize = 8;

type Messages = BoxStream<'static, Result<ReadResp, Status>>;
/// Cuts the connections of a node.
pub type Cutter = Box<dyn Fn() + Send + Sync>;

/// Answers a read. With `cut`, a subscription's connection is cut after so many events.
pub fn answer(
    cluster: Arc<Cluster>,
    options: Options,
    cut: Option<(usize, Cutter)>,
) -> Result<Messages, Status> {
    let structured = !matches!(
        options.uuid_option.as_ref().and_then(|option| option.content.as_ref()),
        Some(options::uuid_option::Content::String(()))
    );
    let backwards = options.read_direction == options::ReadDirection::Backwards as i32;
    let wanted = Wanted::of(options.filter_option)?;
    match (options.stream_option, options.count_option) {
        (Some(options::StreamOption::Stream(from)), Some(options::CountOption::Count(count))) => {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            read_stream(&cluster, from, backwards, count, structured)
        }
        (Some(options::StreamOption::All(from)), Some(options::CountOption::Count(count))) => {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            read_all(&cluster, from, backwards, count, &wanted, structured)
        }
        (Some(options::StreamOption::All(from)), Some(options::CountOption::Subscription(_))) => {
            subscribe(cluster, from, wanted, structured, cut)
        }
        _ => Err(Status::unimplemented("subscriptions to a stream are not offered")),
    }
}

/// What a filter lets through.
struct Wanted {
    on_stream: bool,
    prefixes: Vec<String>,
}

impl Wanted {
    fn of(filter: Option<options::FilterOption>) -> Result<Self, Status> {
        use read_req::options::filter_options::Filter;
        let Some(options::FilterOption::Filter(filter)) = filter else {
            return Ok(Self { on_stream: true, prefixes: Vec::new() });
        };
        let (on_stream, expression) = match filter.filter {
            Some(Filter::StreamIdentifier(expression)) => (true, expression),
            Some(Filter::EventType(expression)) => (false, expression),
            None => return Err(Status::invalid_argument("a filter of nothing")),
        };
        if !expression.regex.is_empty() || expression.prefix.is_empty() {
            return Err(Status::unimplemented("filters are by prefix here"));
        }
        Ok(Self { on_stream, prefixes: expression.prefix })
    }

    fn has(&self, record: &Record) -> bool {
        let text = if self.on_stream { &record.stream } else { &record.metadata["type"] };
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| text.starts_with(prefix))
    }
}

fn read_stream(
    cluster: &Cluster,
    from: options::StreamOptions,
    backwards: bool,
    count: usize,
    structured: bool,
) -> Result<Messages, Status> {
    use options::stream_options::RevisionOption;
    let stream = name(from.stream_identifier.clone())?;
    let database = cluster.database.lock().expect("no holder panics");
    let Some(records) = database.stream(&stream).map_err(|_| deleted(&stream))? else {
        let missing = read_resp::StreamNotFound { stream_identifier: from.stream_identifier };
        return Ok(messages([Content::StreamNotFound(missing)]));
    };
    let (low, high) = match from.revision_option {
        // The server's numbers are signed.
        Some(RevisionOption::Revision(revision)) if revision > i64::MAX as u64 => {
            return Err(Status::invalid_argument("no revision is that large"));
        }
        Some(RevisionOption::Revision(revision)) if backwards => (0, revision),
        Some(RevisionOption::Revision(revision)) => (revision, u64::MAX),
        _ => (0, u64::MAX),
    };
    let last = records.last().map_or(0, |record| record.revision);
    let mut found: Vec<_> = records
        .into_iter()
        .filter(|record| (low..=high).contains(&record.revision))
        .map(|record| Content::Event(event(record, structured)))
        .collect();
    if backwards {
        found.reverse();
    }
    found.truncate(count);
    Ok(messages(found.into_iter().chain([Content::LastStreamPosition(last)])))
}

fn read_all(
    cluster: &Cluster,
    from: options::AllOptions,
    backwards: bool,
    count: usize,
    wanted: &Wanted,
    structured: bool,
) -> Result<Messages, Status> {
    let database = cluster.database.lock().expect("no holder panics");
    let records = database.records();
    let at = match from.all_option {
        Some(options::all_options::AllOption::Position(position)) => {
            place(records, database.end(), &position)?
        }
        Some(options::all_options::AllOption::End(())) => records.len(),
        _ => 0,
    };
    let all: Box<dyn Iterator<Item = &Record>> = if backwards {
        // What is before the position.
        Box::new(records[..at].iter().rev())
    } else {
        // The event at the position is the first.
        Box::new(records[at..].iter())
    };
    let found: Vec<_> = all
        .filter(|record| wanted.has(record))
        .take(count)
        .map(|record| Content::Event(event(record, structured)))
        .collect();
    Ok(messages(found))
}

/// Which record begins at a position; one inside of a record is refused.
fn place(records: &[Record], end: u64, at: &options::Position) -> Result<usize, Status> {
    if at.commit_position != at.prepare_position || at.commit_position > end {
        return Err(Status::invalid_argument("Invalid position"));
    }
    let index = records.partition_point(|record| record.position < at.commit_position);
    let fits = records.get(index).is_none_or(|record| record.position == at.commit_position);
    let fits = fits && (index < records.len() || at.commit_position == end);
    fits.then_some(index).ok_or_else(|| Status::invalid_argument("Invalid position"))
}

struct Following {
    cluster: Arc<Cluster>,
    written: tokio::sync::watch::Receiver<usize>,
    next: usize,
    wanted: Wanted,
    structured: bool,
    left_out: usize,
    cut: Option<(usize, Cutter)>,
}

fn subscribe(
    cluster: Arc<Cluster>,
    from: options::AllOptions,
    wanted: Wanted,
    structured: bool,
    cut: Option<(usize, Cutter)>,
) -> Result<Messages, Status> {
    let next = {
        let database = cluster.database.lock().expect("no holder panics");
        let records = database.records();
        match from.all_option {
            // A subscription begins behind its position.
            Some(options::all_options::AllOption::Position(position)) => {
                let at = place(records, database.end(), &position)?;
                (at + 1).min(records.len())
            }
            Some(options::all_options::AllOption::End(())) => records.len(),
            _ => 0,
        }
    };
    let written = cluster.written.subscribe();
    let following = Following { cluster, written, next, wanted, structured, left_out: 0, cut };
    let confirmed = read_resp::SubscriptionConfirmation { subscription_id: "one".to_owned() };
    let first = stream::iter([Ok(message(Content::Confirmation(confirmed)))]);
    let rest = stream::unfold(following, |mut following| async move {
        let content = following.next().await?;
        Some((Ok(message(content)), following))
    });
    Ok(first.chain(rest).boxed())
}

impl Following {
    async fn next(&mut self) -> Option<Content> {
        loop {
            if let Some((0, cut)) = &self.cut {
                // What was sent is to arrive, or nobody would ever get further.
                tokio::time::sleep(Duration::from_millis(20)).await;
                cut();
                std::future::pending::<()>().await;
            }
            if let Some(content) = self.now() {
                return Some(content);
            }
            let next = self.next;
            self.written.wait_for(|written| *written > next).await.ok()?;
        }
    }

    fn now(&mut self) -> Option<Content> {
        let database = self.cluster.database.lock().expect("no holder panics");
        while let Some(record) = database.records().get(self.next) {
            self.next += 1;
            if self.wanted.has(record) {
                if let Some((left, _)) = &mut self.cut {
                    *left -= 1;
                }
                return Some(Content::Event(event(record, self.structured)));
            }
            self.left_out += 1;
            if self.left_out.is_multiple_of(CHECKPOINT_EVERY) {
                return Some(Content::Checkpoint(read_resp::Checkpoint {
                    commit_position: record.position,
                    prepare_position: record.position,
                    timestamp: None,
                }));
            }
        }
        None
    }
}

fn event(record: &Record, structured: bool) -> read_resp::ReadEvent {
    let stream_name = record.stream.clone().into_bytes().into();
    let recorded = read_resp::read_event::RecordedEvent {
        id: Some(uuid(record.id, structured)),
        stream_identifier: Some(common::StreamIdentifier { stream_name }),
        stream_revision: record.revision,
        prepare_position: record.position,
        commit_position: record.position,
        metadata: record.metadata.clone(),
        custom_metadata: record.custom_metadata.clone(),
        data: record.data.clone(),
    };
    read_resp::ReadEvent {
        event: Some(recorded),
        link: None,
        position: Some(read_resp::read_event::Position::CommitPosition(record.position)),
    }
}

fn message(content: Content) -> ReadResp {
    ReadResp { content: Some(content) }
}

fn messages(contents: impl IntoIterator<Item = Content>) -> Messages {
    let all: Vec<_> = contents.into_iter().map(|content| Ok(message(content))).collect();
    stream::iter(all).boxed()
}
