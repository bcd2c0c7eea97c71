//! Cases as incidents that resemble each other: what is known of each when it is asked about, or
//! was asked about before, and how well each way of asking finds its like.

mod near;

use diagnosis::evaluation::retrieval::{
    Bm25, CaseScores, Judged, Question, Remembered, by_case, by_draw, by_time, judged,
    same_component_most_recent,
};
use diagnosis::evidence::Evidence;
use diagnosis::fingerprint::{self, Fingerprint};
use diagnosis::rank::{Ranker, Taught};
use diagnosis::similarity::Told;
use diagnosis::wording;

use crate::case::{Case, DataSet};
use crate::evidence::{Span, gather};
pub use near::{By, MOST, Near};

/// What is known of a case.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its name, its time, and what was true of it.
    pub remembered: Remembered,
    /// What was measured.
    pub fingerprint: Fingerprint,
    /// What was said.
    pub told: Told,
    /// What it says in words.
    pub lines: Vec<String>,
}

impl Known {
    /// The cases of a data set, as a diagnosis without labels sees them.
    pub fn all(data_set: &DataSet) -> Vec<Self> {
        let span = Span::of(data_set.name);
        let evidence = data_set
            .cases
            .iter()
            .map(|case| gather(data_set.events_of(case), &case.noticed, span))
            .collect::<Vec<_>>();
        Self::by(data_set, &evidence)
    }

    /// The same, by evidence that was read elsewhere, in the order of the cases.
    pub fn by(data_set: &DataSet, evidence: &[Evidence]) -> Vec<Self> {
        let ranker = Taught::default();
        let cases = data_set.cases.iter().zip(evidence);
        cases.map(|(case, evidence)| Self::of(data_set, case, evidence, &ranker)).collect()
    }

    fn of(data_set: &DataSet, case: &Case, evidence: &Evidence, ranker: &Taught) -> Self {
        let ranking = ranker.rank(evidence);
        let fingerprint = fingerprint::of(evidence, &ranking);
        let title = case.title.as_ref().map(|title| title.as_str());
        let lines = wording::lines(title, evidence);
        Self {
            remembered: remembered(data_set, case),
            told: Told::of(title, evidence),
            fingerprint,
            lines,
        }
    }
}

fn remembered(data_set: &DataSet, case: &Case) -> Remembered {
    // PetShop's groups are what alarmed in one and the same system.
    let history = if data_set.name == "petshop" { data_set.name } else { &case.group };
    let truth = case.truth.as_ref();
    Remembered {
        case: case.name.clone(),
        history: history.to_owned(),
        at: case.noticed.at,
        component: truth.and_then(|truth| truth.root_causes.first().cloned()),
        kind: truth.and_then(|truth| truth.fault_kind.clone()),
    }
}

/// Orders that are drawn where a data set tells no times.
const DRAWS: u64 = 10;

/// A way of asking, and how it did.
#[derive(Clone, Debug)]
pub struct Way {
    /// Its name.
    pub name: &'static str,
    /// Of every case that had anything right to find.
    pub scores: Vec<CaseScores>,
}

/// How every way of asking did.
#[derive(Clone, Debug)]
pub struct Found {
    /// The baselines first, what is asked by last.
    pub ways: Vec<Way>,
    /// Of every question by the last of them: the nearest with its score, both by their place
    /// among the cases.
    pub nearest: Vec<(usize, Option<(f64, usize)>)>,
}

/// The questions in the order of time; of a data set without times, those of ten orders.
pub fn orders(data_set: &DataSet, remembered: &[Remembered]) -> Vec<Vec<Question>> {
    match data_set.name {
        "tvdiag" => (0..DRAWS).map(|seed| by_draw(remembered, seed)).collect(),
        _ => vec![by_time(remembered)],
    }
}

/// Every case asks those that came before it; of a data set without times ten orders are drawn.
pub fn found(data_set: &DataSet, known: &[Known]) -> Found {
    let remembered: Vec<Remembered> = known.iter().map(|it| it.remembered.clone()).collect();
    let orders = orders(data_set, &remembered);
    let ask = |way: &dyn Fn(&Question) -> Vec<usize>| -> Vec<Judged> {
        orders.iter().flat_map(|questions| judged(&remembered, questions, way)).collect()
    };
    let texts: Vec<String> = known.iter().map(|it| it.lines.join("\n")).collect();
    let suspects: Vec<_> = known.iter().map(|it| it.fingerprint.suspect.clone()).collect();
    let bm25 = Bm25::of(&texts);
    let recent = |it: &Question| same_component_most_recent(&remembered, &suspects, it);
    let (mut measured, mut all, mut nearest) = (Vec::new(), Vec::new(), Vec::new());
    for questions in &orders {
        let near = Near::of(known, questions);
        let places =
            |it: &Question, by| near.ask(it, by, MOST).into_iter().map(|(_, it)| it).collect();
        measured.extend(judged(&remembered, questions, |it| places(it, By::Fingerprint)));
        all.extend(judged(&remembered, questions, |it| {
            let found = near.ask(it, By::All, MOST);
            nearest.push((it.asked, found.first().copied()));
            found.into_iter().map(|(_, place)| place).collect()
        }));
    }
    let way = |name, scores| Way { name, scores };
    let ways = vec![
        way("by chance", by_case(&all, Judged::by_chance)),
        way("same component, latest", by_case(&ask(&recent), Judged::scores)),
        way("BM25", by_case(&ask(&|it| bm25.ask(it)), Judged::scores)),
        way("fingerprints", by_case(&measured, Judged::scores)),
        way("all three", by_case(&all, Judged::scores)),
    ];
    Found { ways, nearest }
}
