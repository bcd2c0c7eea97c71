//! Questions, grades and scores.

use super::*;

fn remembered(case: &str, second: i64, component: &str, kind: Option<&str>) -> Remembered {
    Remembered {
        case: case.to_owned(),
        history: "shop".to_owned(),
        at: Timestamp::from_second(second).unwrap(),
        component: Some(ComponentName::new(component).unwrap()),
        kind: kind.map(|kind| FaultKind::new(kind).unwrap()),
    }
}

fn history() -> Vec<Remembered> {
    vec![
        remembered("d", 4, "cart", Some("cpu")),
        remembered("a", 1, "cart", Some("cpu")),
        remembered("c", 3, "stock", Some("cpu")),
        remembered("b", 2, "cart", Some("delay")),
        remembered("e", 4, "mail", Some("loss")),
    ]
}

#[test]
fn nobody_is_asked_for_what_came_later_or_from_elsewhere() {
    let mut incidents = history();
    let past = |questions: Vec<Question>| -> BTreeMap<usize, Vec<usize>> {
        questions.into_iter().map(|question| (question.asked, question.past)).collect()
    };
    let by_time = past(by_time(&incidents));
    assert_eq!(by_time[&0], [1, 3, 2], "the earliest first");
    assert_eq!(by_time[&4], [1, 3, 2], "what is noticed at the same time is not past");
    assert_eq!(by_time[&1], [0; 0]);
    incidents[3].history = "elsewhere".to_owned();
    assert_eq!(past(super::by_time(&incidents))[&0], [1, 2]);
}

#[test]
fn an_order_is_drawn_by_its_seed_and_not_by_the_order_given() {
    let incidents = history();
    let mut turned = incidents.clone();
    turned.reverse();
    let names = |of: &[Remembered], seed| -> Vec<String> {
        by_draw(of, seed).iter().map(|question| of[question.asked].case.clone()).collect()
    };
    assert_eq!(names(&incidents, 1), names(&turned, 1));
    assert!((2..9).any(|seed| names(&incidents, seed) != names(&incidents, 1)));
    let lengths: Vec<usize> = by_draw(&incidents, 1).iter().map(|it| it.past.len()).collect();
    assert_eq!(lengths, [0, 1, 2, 3, 4]);
}

#[test]
fn labels_grade_what_is_found() {
    let incidents = history();
    let grade = |past: usize| Grade::of(&incidents[0], &incidents[past]);
    assert_eq!(
        [grade(1), grade(2), grade(3), grade(4)],
        [Grade::Same, Grade::SameKind, Grade::SameComponent, Grade::Unrelated]
    );
    let unnamed = remembered("f", 9, "cart", None);
    assert_eq!(Grade::of(&unnamed, &incidents[3]), Grade::Same);
    assert_eq!(Grade::of(&incidents[3], &unnamed), Grade::SameComponent);
}

#[test]
fn answers_are_scored_by_the_places_of_what_is_right() {
    let incidents = history();
    let questions = by_time(&incidents);
    // What is no past, or told twice, does not count.
    let judged = judged(&incidents, &questions, |_| vec![0, 3, 3, 2, 1]);
    let last = judged.iter().find(|judged| judged.case == "d").unwrap();
    assert_eq!(last.found, [Grade::SameComponent, Grade::SameKind, Grade::Same]);
    let scores = last.scores().unwrap();
    assert_eq!((scores.first, scores.among_three, scores.reciprocal_rank), (0.0, 1.0, 0.5));
    let most = 3.0 + 2.0 / 3f64.log2() + 1.0 / 2.0;
    let got = 1.0 + 2.0 / 3f64.log2() + 3.0 / 2.0;
    assert!((scores.gain - got / most).abs() < 1e-12, "{scores:?}");
    let first = judged.iter().find(|judged| judged.case == "a").unwrap();
    assert_eq!(first.scores(), None, "nothing came before it");
}

/// The expectation is the mean over every order.
#[test]
fn chance_is_what_all_orders_come_to() {
    fn orders(left: &[usize]) -> Vec<Vec<usize>> {
        if left.is_empty() {
            return vec![Vec::new()];
        }
        let first = |&first: &usize| {
            let rest: Vec<usize> = left.iter().copied().filter(|it| *it != first).collect();
            orders(&rest).into_iter().map(move |mut order| {
                order.insert(0, first);
                order
            })
        };
        left.iter().flat_map(first).collect()
    }
    let incidents: Vec<Remembered> = history()
        .into_iter()
        .chain([remembered("f", 3, "mail", Some("loss")), remembered("g", 9, "cart", Some("cpu"))])
        .collect();
    let question = by_time(&incidents).pop().unwrap();
    assert_eq!(question.past.len(), 6);
    let orders = orders(&question.past);
    let mut expected: Option<Scores> = None;
    let mut sum = [0.0; 4];
    for order in &orders {
        let judged = judged(&incidents, std::slice::from_ref(&question), |_| order.clone());
        let scores = judged[0].scores().unwrap().all();
        sum.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score / orders.len() as f64);
        expected = judged[0].by_chance();
    }
    for (mean, expected) in sum.iter().zip(expected.unwrap().all()) {
        assert!((mean - expected).abs() < 1e-9, "{sum:?} {expected:?}");
    }
}

#[test]
fn an_incident_counts_once_however_often_it_was_asked() {
    let incidents = history();
    let mut all = Vec::new();
    for seed in 0..4 {
        all.extend(judged(&incidents, &by_draw(&incidents, seed), |it| it.past.clone()));
    }
    let cases = by_case(&all, Judged::scores);
    for case in &cases {
        let of_case = all.iter().filter(|judged| judged.case == case.case);
        let firsts: Vec<f64> =
            of_case.filter_map(Judged::scores).map(|scores| scores.first).collect();
        let mean = firsts.iter().sum::<f64>() / firsts.len() as f64;
        assert!((case.scores.first - mean).abs() < 1e-12);
    }
    let row = &rows(&cases, 1)[0];
    assert_eq!((row.history.as_str(), row.cases), ("shop", cases.len()));
    let chance = by_case(&all, Judged::by_chance);
    let better = &difference(&cases, &chance, 1)[0];
    let apart = row.scores[0].0 - rows(&chance, 1)[0].scores[0].0;
    assert!((better.scores[0].0 - apart).abs() < 1e-12);
}

#[test]
fn the_plain_ways_know_the_past_only() {
    let incidents = history();
    let question = by_time(&incidents).into_iter().find(|it| it.asked == 0).unwrap();
    let cart = ComponentName::new("cart").unwrap();
    let suspects = vec![Some(cart), None, None, None, None];
    let recent = same_component_most_recent(&incidents, &suspects, &question);
    assert_eq!(recent, [3, 1, 2], "those of cart, the latest first, then the rest");
    let texts = ["cart slow, slow", "cart slow", "stock", "the cart and the other cart", "slow"];
    let bm25 = Bm25::of(&texts.map(str::to_owned));
    assert_eq!(bm25.ask(&question), [1, 3], "not what came later, not what shares no word");
}
