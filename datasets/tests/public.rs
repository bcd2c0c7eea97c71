//! The public data sets themselves, where they are at hand: `FAULTLINE_DATASETS` names the folder
//! that holds `petshop` and `nezha`. The goals are those that published methods reach.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "the whole crate is tests")]

use std::path::PathBuf;

use datasets::case::DataSet;
use datasets::evidence::{Span, gather};
use datasets::{nezha, petshop};
use diagnosis::evaluation::{Outcome, hit_rate, place};
use diagnosis::rank::methods;

fn folder(name: &str) -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "where data sets are is no setting of the product"
    )]
    let folder =
        std::env::var("FAULTLINE_DATASETS").ok().map(|root| PathBuf::from(root).join(name));
    let folder = folder.filter(|folder| folder.is_dir());
    if folder.is_none() {
        println!("SKIPPED: FAULTLINE_DATASETS names no folder with {name}");
    }
    folder
}

fn outcomes(data_set: &DataSet) -> Vec<Outcome> {
    let outcomes = data_set.cases.iter().filter_map(|case| {
        let truth = case.truth.as_ref()?;
        let evidence = gather(data_set.events_of(case), &case.noticed, Span::of(data_set.name));
        let ranking = methods()[0].rank(&evidence);
        let place = place(&truth.root_causes, ranking.suspects.iter().map(|s| &s.component));
        Some(Outcome { case: case.name.clone(), group: case.group.clone(), place })
    });
    outcomes.collect()
}

#[test]
fn petshop_is_ranked_ahead_of_the_traversal_of_its_authors() {
    let Some(folder) = folder("petshop") else { return };
    let outcomes = outcomes(&petshop::read(&folder).unwrap());
    let (first, three) = (hit_rate(&outcomes, 1), hit_rate(&outcomes, 3));
    assert!(first >= 0.92 && three >= 0.98, "{first:.3} {three:.3}: {outcomes:#?}");
}

#[test]
fn both_systems_of_nezha_are_ranked_as_its_authors_do_with_all_logs() {
    let Some(folder) = folder("nezha") else { return };
    let outcomes = outcomes(&nezha::read(&folder).unwrap());
    for system in ["OnlineBoutique", "TrainTicket"] {
        let of_system: Vec<&Outcome> = outcomes.iter().filter(|o| o.group == system).collect();
        let rate = |k| hit_rate(of_system.iter().copied(), k);
        let (first, three) = (rate(1), rate(3));
        assert!(first >= 0.85 && three >= 0.96, "{system}: {first:.3} {three:.3}: {of_system:#?}");
    }
}
