//! What tells the kinds of fault of one component apart.
//!
//! Beside what it shows: in which order (a process that is gone loses its traffic before its
//! memory starts anew, one that is replaced at once does not), and how many of the others show
//! what. No names.

use std::collections::BTreeMap;

use super::features::{Feature, is_detail};
use super::scene::Scene;

/// The numbers for the component at `place`, by name.
pub fn signature(scene: &Scene, place: usize) -> Vec<Feature> {
    let part = &scene.parts[place];
    let mut found = Vec::new();
    let mut add = |name: String, value: f64, sign: Option<&String>| {
        found.push(Feature { name, value, sign: sign.cloned() });
    };
    for (name, sign) in &part.signs {
        add(format!("shows|{name}"), sign.strength, Some(name));
        if let Some(early) = sign.early {
            add(format!("early|{name}"), early * sign.strength, Some(name));
        }
        if sign.first {
            add(format!("first|{name}"), sign.strength, Some(name));
        }
    }
    let timed = || part.signs.iter().filter_map(|(name, sign)| Some((name, sign.at?)));
    for (index, (one, at)) in timed().enumerate() {
        for (other, later) in timed().skip(index + 1).filter(|(_, other_at)| *other_at != at) {
            let order = if at < later { 1.0 } else { -1.0 };
            add(format!("order|{one}, {other}"), order, Some(one));
        }
    }
    let mut around: BTreeMap<&String, f64> = BTreeMap::new();
    let others = scene.parts.iter().enumerate().filter(|(other, _)| *other != place);
    for name in others.flat_map(|(_, other)| other.signs.keys()).filter(|name| !is_detail(name)) {
        *around.entry(name).or_default() += 1.0;
    }
    for (name, showing) in around {
        add(format!("around|{name}"), showing / scene.parts.len() as f64, None);
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}
