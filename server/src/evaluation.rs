//! Asking the incidents of a public data set as if they were live, and holding the answers against
//! the truth.
//!
//! The events of a case go through the same log, projections and graph as any others, into a base
//! that is thrown away; its evidence is read from the graph as that of a live incident is. The
//! truth of the cases that are asked is never recorded there.

mod base;
pub(crate) mod classes;
pub(crate) mod detection;
mod learning;
pub(crate) mod report;
pub(crate) mod similar;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use datasets::case::{Case, DataSet};
use datasets::evidence::Span;
use diagnosis::evidence::Evidence;
use diagnosis::rank::{Ranker, Ranking};
use events::{ComponentName, Event, FaultKind};
use schema::reads;
use tokio::task::JoinSet;

use base::Base;
pub(crate) use learning::{Teaching, lessons};

/// What became of a case.
pub(crate) struct Answer<'d> {
    /// The case.
    pub(crate) case: &'d Case,
    /// Who was suspected.
    pub(crate) ranking: Ranking,
    /// Whether the path to the first suspect begins where the incident was noticed and follows
    /// calls that are known.
    pub(crate) has_path: bool,
    /// How long it took to rank.
    pub(crate) took: Duration,
}

/// Which kinds of fault a case was taken for.
pub(crate) struct Told<'d> {
    /// The case.
    pub(crate) case: &'d Case,
    /// The likeliest first, with their probabilities.
    pub(crate) kinds: Vec<(FaultKind, f64)>,
}

/// The evidence of every case, in their order; `told` hears how many are read.
///
/// Cases that share a recorded period share a base, in which they follow each other by time. Any
/// other has one of its own. What of a period no case can see is not recorded.
pub(crate) async fn evidence(
    data_set: &Arc<DataSet>,
    told: &mut dyn FnMut(usize),
) -> anyhow::Result<Vec<Evidence>> {
    let mut bases: BTreeMap<(&[String], usize), Vec<usize>> = BTreeMap::new();
    for (n, case) in data_set.cases.iter().enumerate() {
        let alone = if case.periods.is_empty() { n } else { 0 };
        bases.entry((&case.periods, alone)).or_default().push(n);
    }
    let mut bases: Vec<Vec<usize>> = bases.into_values().collect();
    let mut found: BTreeMap<usize, Evidence> = BTreeMap::new();
    let mut asking = JoinSet::new();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    loop {
        while asking.len() < processors
            && let Some(cases) = bases.pop()
        {
            let data_set = data_set.clone();
            asking.spawn(async move { of_one_base(&data_set, cases).await });
        }
        let Some(asked) = asking.join_next().await else { break };
        found.extend(asked??);
        told(found.len());
    }
    Ok(found.into_values().collect())
}

/// The evidence of cases that share their recorded periods.
async fn of_one_base(
    data_set: &DataSet,
    mut cases: Vec<usize>,
) -> anyhow::Result<Vec<(usize, Evidence)>> {
    let reach = Span::of(data_set.name);
    let span = span(reach)?;
    cases.sort_by_key(|n| data_set.cases[*n].noticed.at);
    let of_cases = || cases.iter().map(|n| &data_set.cases[*n]);
    let periods: BTreeSet<&String> = of_cases().flat_map(|case| &case.periods).collect();
    let mut base = Base::empty().await?;
    for period in data_set.periods.iter().filter(|period| periods.contains(&period.name)) {
        let shown = |event: &&Event| of_cases().any(|case| reach.may_show(event, &case.noticed));
        base.take(period.events.iter().filter(shown).cloned().collect()).await?;
    }
    let mut found = Vec::new();
    for n in &cases {
        let case = &data_set.cases[*n];
        base.take(case.events.clone()).await?;
        base.take(case.opening(data_set.name)).await?;
        let evidence = base.evidence(&case.incident(data_set.name), span).await;
        let evidence =
            evidence.with_context(|| format!("reading the evidence of {}", case.name))?;
        found.push((*n, evidence));
    }
    Ok(found)
}

fn span(of: Span) -> anyhow::Result<reads::Span> {
    let ms = |of: jiff::SignedDuration| u32::try_from(of.as_millis()).context("a span of weeks");
    Ok(reads::Span { before_ms: ms(of.before)?, after_ms: ms(of.after)? })
}

/// Ranks every case by its evidence.
pub(crate) fn ranked<'d>(
    data_set: &'d DataSet,
    evidence: &[Evidence],
    ranker: &dyn Ranker,
) -> Vec<Answer<'d>> {
    let cases = data_set.cases.iter().zip(evidence);
    cases.map(|(case, evidence)| ranked_by(ranker, case, evidence)).collect()
}

fn ranked_by<'d>(ranker: &dyn Ranker, case: &'d Case, evidence: &Evidence) -> Answer<'d> {
    let began = Instant::now();
    let ranking = ranker.rank(evidence);
    let took = began.elapsed();
    let has_path = ranking.suspects.first().is_some_and(|first| {
        let calls = |hop: &[ComponentName]| {
            evidence.calls().iter().any(|it| it.caller == hop[0] && it.callee == hop[1])
        };
        first.path.first() == Some(evidence.noticed())
            && first.path.last() == Some(&first.component)
            && first.path.windows(2).all(calls)
    });
    Answer { case, ranking, has_path, took }
}
