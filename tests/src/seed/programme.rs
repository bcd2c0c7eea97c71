//! What is recorded: the shipped experiments, then the same kinds of fault at other places.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use chaos_runner::experiment::shipped;
use chaos_runner::plan::{self, Cell, State};
use events::catalogue::fault_kind as kind;
use events::catalogue::knowledge::RunbookPublished;
use events::value::{Line, Text};
use events::{Event, EventId, RunbookId, Timestamp};
use serde_json::{Value, json};

/// How long a fault acts: four windows, two of which are enough to notice it.
const FAULT_MS: u64 = 8_000;

/// What acts by chance, or on some requests only, is not in every window.
const UNEVEN_MS: u64 = 10_000;

/// A leak needs its time to show.
const LEAK_MS: u64 = 12_000;

/// The second round: each kind at a place that the shipped experiments leave out.
const ELSEWHERE: &[(&str, &str)] = &[
    (kind::LATENCY, "catalog"),
    (kind::HTTP_ERROR, "payments"),
    (kind::PROCESS_KILL, "catalog"),
    (kind::SLOW_VERSION, "payments"),
    (kind::JITTER, "payments"),
    (kind::CONNECTION_RESET, "payments"),
    (kind::PROCESS_PAUSE, "payments"),
    (kind::BLACK_HOLE, "orders"),
    (kind::ERROR_VERSION, "orders"),
    (kind::PROCESS_PAUSE, "database"),
    (kind::LATENCY, "orders"),
    (kind::SLOW_RESPONSE, "gateway"),
    (kind::PROCESS_KILL, "checkout"),
    (kind::PARTITION, "cart"),
    (kind::SLOW_VERSION, "cart"),
    (kind::BANDWIDTH, "cart"),
    (kind::CPU_STARVATION, "orders"),
    (kind::SLOW_RESPONSE, "cart"),
    (kind::ERROR_VERSION, "catalog"),
    (kind::MEMORY_LEAK, "catalog"),
    (kind::LATENCY, "gateway"),
    (kind::CPU_STARVATION, "cart"),
    (kind::DATABASE_CONNECTION_FAILURE, "database"),
    (kind::HTTP_ERROR, "catalog"),
];

/// An experiment to record.
#[derive(Clone, Debug)]
pub struct Item {
    /// What it is called.
    pub name: String,
    /// The experiment, with the times of a recording.
    pub document: Value,
}

impl Item {
    /// Writes the experiment where the runner can read it.
    pub fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join(format!("{}.json", self.name));
        std::fs::write(&path, serde_json::to_vec_pretty(&self.document)?)
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

/// The shipped experiments.
pub fn shipped_suite() -> anyhow::Result<Vec<Item>> {
    let items = shipped::ALL.iter().map(|shipped| {
        let read = shipped.read(&|_| None).with_context(|| shipped.name.to_owned())?;
        Ok(Item { name: shipped.name.to_owned(), document: timed(read.document)? })
    });
    items.collect()
}

/// The same kinds of fault at other places, as `chaos-runner plan` writes them.
pub fn elsewhere() -> anyhow::Result<Vec<Item>> {
    let items = ELSEWHERE.iter().map(|(fault, component)| {
        let cell = Cell {
            component: component.parse()?,
            criticality: None,
            fault_kind: fault.parse()?,
            state: State::Never,
            last_verdict: None,
            last_exercised_at: None,
            real_incidents: 0,
        };
        let plan = plan::rank(vec![cell], Timestamp::UNIX_EPOCH, 30);
        let proposal = plan.proposals.first();
        let proposal = proposal.ok_or_else(|| anyhow!("no driver for {fault} on {component}"))?;
        let file = plan::write::file_name(proposal);
        let text = plan::write::experiment(proposal);
        let read = chaos_runner::experiment::parse(&file, &text, &|_| None)
            .with_context(|| file.clone())?;
        let name = file.trim_end_matches(".yaml").to_owned();
        Ok(Item { name, document: timed(read.document)? })
    });
    items.collect()
}

/// The experiment with the times of a recording: nothing else of it is changed.
fn timed(mut document: Value) -> anyhow::Result<Value> {
    let method = document["method"].as_array_mut().context("an experiment has a method")?;
    for activity in method {
        let provider = &mut activity["provider"];
        if provider.get("fault").is_some() {
            provider["duration_ms"] = json!(match provider["fault"].as_str() {
                Some(kind::MEMORY_LEAK) => LEAK_MS,
                Some(
                    kind::JITTER | kind::BANDWIDTH | kind::SLOW_RESPONSE | kind::CPU_STARVATION,
                ) => UNEVEN_MS,
                _ => FAULT_MS,
            });
        }
    }
    document["extensions"] = json!([{
        "name": "faultline", "span_ms": 2_000, "warm_up_ms": 60_000, "recovery_ms": 30_000,
    }]);
    Ok(document)
}

/// The runbooks of `folder`, as events that happen at `now`. Their ids derive from their texts:
/// the same runbook published again is the same event.
pub fn runbooks(folder: &Path, now: Timestamp) -> anyhow::Result<Vec<Event>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths.sort();
    let read = paths.iter().map(|path| {
        let text = std::fs::read_to_string(path)?;
        let data = runbook(&text).with_context(|| path.display().to_string())?;
        let id = EventId(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, text.as_bytes()));
        Ok(Event::with_id(id, Line::new("/seed-data/runbooks")?, now, data))
    });
    read.collect()
}

/// A Markdown file with `id`, `title` and `fault_kinds` in front.
fn runbook(text: &str) -> anyhow::Result<RunbookPublished> {
    let (front, body) = text
        .strip_prefix("---\n")
        .and_then(|text| text.split_once("\n---\n"))
        .context("expected `---`, the fields, `---`, then the text")?;
    let field = |name: &str| {
        let lines = front.lines().filter_map(|line| line.split_once(": "));
        let found = lines.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.trim()).with_context(|| format!("no field {name:?}"))
    };
    let kinds = field("fault_kinds")?.trim_matches(['[', ']']).split(',');
    Ok(RunbookPublished {
        runbook: RunbookId::new(field("id")?)?,
        title: Line::new(field("title")?)?,
        fault_kinds: kinds.map(|kind| kind.trim().parse()).collect::<Result<_, _>>()?,
        component: None,
        text: Text::new(body.trim_start())?,
    })
}
