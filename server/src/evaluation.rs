//! Asking the incidents of a public data set as if they were live, and holding the answers against
//! the truth.
//!
//! The events of a case go through the same log, projections and graph as any others, into a base
//! that is thrown away; its evidence is read from the graph as that of a live incident is. The
//! truth of the cases that are asked is never recorded there.

mod base;
mod report;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use datasets::case::{Case, DataSet};
use datasets::evidence::Span;
use diagnosis::evidence::Evidence;
use diagnosis::rank::{Ranker, Ranking};
use schema::reads;

use base::Base;
pub(crate) use report::{json_lines, table};

/// What became of a case.
pub(crate) struct Answer<'d> {
    /// The case.
    pub(crate) case: &'d Case,
    /// Who was suspected.
    pub(crate) ranking: Ranking,
    /// How long it took to rank.
    pub(crate) took: Duration,
}

/// The evidence of every case, in their order; `told` hears how many are read.
///
/// Cases that share a recorded period share a base, in which they follow each other by time. Any
/// other has one of its own. What of a period no case can see is not recorded.
pub(crate) async fn evidence(
    data_set: &DataSet,
    told: &mut dyn FnMut(usize),
) -> anyhow::Result<Vec<Evidence>> {
    let mut groups: BTreeMap<(&[String], usize), Vec<usize>> = BTreeMap::new();
    for (n, case) in data_set.cases.iter().enumerate() {
        let alone = if case.periods.is_empty() { n } else { 0 };
        groups.entry((&case.periods, alone)).or_default().push(n);
    }
    let reach = Span::of(data_set.name);
    let span = span(reach)?;
    let mut found: BTreeMap<usize, Evidence> = BTreeMap::new();
    for ((periods, _), mut members) in groups {
        members.sort_by_key(|n| data_set.cases[*n].noticed.at);
        let mut base = Base::empty().await?;
        for period in data_set.periods.iter().filter(|period| periods.contains(&period.name)) {
            let seen = period.events.iter().filter(|event| {
                let cases = members.iter().map(|n| &data_set.cases[*n]);
                cases.into_iter().any(|case| reach.may_show(event, &case.noticed))
            });
            base.take(seen.cloned().collect()).await?;
        }
        for n in members {
            let case = &data_set.cases[n];
            base.take(case.events.clone()).await?;
            base.take(case.opening(data_set.name)).await?;
            let read = base.evidence(&case.incident(data_set.name), span).await;
            found
                .insert(n, read.with_context(|| format!("reading the evidence of {}", case.name))?);
            told(found.len());
        }
    }
    Ok(found.into_values().collect())
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
    let answer = |(case, evidence): (&'d Case, &Evidence)| {
        let began = Instant::now();
        let ranking = ranker.rank(evidence);
        Answer { case, ranking, took: began.elapsed() }
    };
    data_set.cases.iter().zip(evidence).map(answer).collect()
}
