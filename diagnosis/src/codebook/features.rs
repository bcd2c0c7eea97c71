//! What speaks for a component being the cause: numbers by name, the same for every component.

use std::collections::{BTreeMap, BTreeSet};

use super::background::Background;
use super::scene::{Part, Scene};

/// One number, and the sign it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Its name, which has a weight.
    pub name: String,
    /// The number.
    pub value: f64,
    /// The sign; none for what is told of the component as a whole.
    pub sign: Option<String>,
}

/// Structure alone: these have weights before anything was learned.
pub mod whole {
    /// Rarity of its signs, as a share of the most that a component shows.
    pub const RELATIVE: &str = "whole relative";
    /// Rarity of its signs, as a share of all.
    pub const SHARE: &str = "whole share";
    /// It shows the most.
    pub const TOP: &str = "whole top";
    /// Rarity of its early signs, as a share of the most that a component shows.
    pub const EARLY: &str = "whole early";
    /// How many of its signs it showed first.
    pub const FIRSTS: &str = "whole firsts";
    /// How many of its signs its replicas do not show, as a share of the most.
    pub const APART: &str = "whole apart";
    /// The call graph knows it.
    pub const DRAWN: &str = "whole drawn";
    /// It shows nothing.
    pub const SILENT: &str = "whole silent";
}

/// The features of every component of the incident. `learned_from` is the cause under which the
/// background has counted this incident, if it has.
pub fn features(
    scene: &Scene,
    background: &Background,
    learned_from: Option<usize>,
) -> Vec<Vec<Feature>> {
    let mut showing: BTreeMap<&str, f64> = BTreeMap::new();
    for sign in scene.parts.iter().flat_map(|part| part.signs.keys()) {
        *showing.entry(sign).or_default() += 1.0;
    }
    let mut totals = Vec::new();
    let mut all: Vec<Vec<Feature>> = Vec::new();
    for (place, part) in scene.parts.iter().enumerate() {
        let counted = learned_from.is_some_and(|cause| cause != place);
        let mut total = Totals::default();
        let mut found = Vec::new();
        for (name, sign) in &part.signs {
            let alone = 1.0 / showing.get(name.as_str()).copied().unwrap_or(1.0).sqrt();
            let surprise = if background.is_empty() {
                alone
            } else {
                -background.rate(part.name.as_str(), name, counted).ln() / 3.0
            };
            let mut add = |kind: &str, value: f64| {
                let sign = Some(name.clone());
                found.push(Feature { name: format!("{kind}|{name}"), value, sign });
            };
            add("shows", sign.strength);
            add("rare", (surprise - 0.5) * sign.strength);
            add("alone", alone * sign.strength);
            if sign.first {
                add("first", sign.strength);
            }
            if let Some(early) = sign.early {
                add("early", early * sign.strength);
            }
            if !is_detail(name) {
                total.rarity += surprise * sign.strength;
                total.early += surprise * sign.strength * sign.early.unwrap_or(0.5);
                total.firsts += f64::from(u8::from(sign.first));
            }
        }
        replicas(scene, place, &mut found, &mut total);
        found.push(Feature { name: format!("group|{}", part.group), value: 1.0, sign: None });
        totals.push(total);
        all.push(found);
    }
    wholes(scene, &totals, &mut all);
    all
}

/// A sign that repeats another with the operation's name.
pub fn is_detail(sign: &str) -> bool {
    sign.contains(": ")
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    rarity: f64,
    early: f64,
    firsts: f64,
    apart: f64,
}

fn replicas(scene: &Scene, place: usize, found: &mut Vec<Feature>, total: &mut Totals) {
    let part = &scene.parts[place];
    let is_twin = |(at, other): &(usize, &Part)| *at != place && other.group == part.group;
    let twins: Vec<&Part> =
        scene.parts.iter().enumerate().filter(is_twin).map(|(_, twin)| twin).collect();
    if twins.is_empty() {
        return;
    }
    let theirs: BTreeSet<&String> = twins.iter().flat_map(|twin| twin.signs.keys()).collect();
    for name in theirs.iter().filter(|name| !is_detail(name)) {
        found.push(Feature { name: format!("twin|{name}"), value: 1.0, sign: None });
    }
    for name in part.signs.keys().filter(|name| !theirs.contains(name) && !is_detail(name)) {
        let sign = Some(name.clone());
        found.push(Feature { name: format!("apart|{name}"), value: 1.0, sign });
        total.apart += 1.0;
    }
}

fn wholes(scene: &Scene, totals: &[Totals], all: &mut [Vec<Feature>]) {
    let most = |of: fn(&Totals) -> f64| totals.iter().map(of).fold(0.0_f64, f64::max);
    let rarity = most(|t| t.rarity);
    let (early, apart) = (most(|t| t.early), most(|t| t.apart));
    let sum: f64 = totals.iter().map(|t| t.rarity).sum();
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    for ((part, total), found) in scene.parts.iter().zip(totals).zip(all) {
        let mut add = |name: &str, value: f64| {
            if value != 0.0 {
                found.push(Feature { name: name.to_owned(), value, sign: None });
            }
        };
        add(whole::RELATIVE, share(total.rarity, rarity));
        add(whole::SHARE, 3.0 * share(total.rarity, sum));
        add(whole::TOP, f64::from(u8::from(rarity > 0.0 && total.rarity >= rarity)));
        add(whole::EARLY, share(total.early, early));
        add(whole::FIRSTS, (total.firsts / 3.0).min(2.0));
        add(whole::APART, share(total.apart, apart));
        add(whole::DRAWN, f64::from(u8::from(part.drawn)));
        add(whole::SILENT, f64::from(u8::from(part.signs.is_empty())));
    }
}
