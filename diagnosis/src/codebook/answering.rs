//! Calls as their callers see them, told of those who answer.
//!
//! A span of a component's own that is named like an operation which others answer is its view of
//! a call. Who answers is not in the alert, and the one who does may not alarm at all; other alerts
//! and past incidents know. Where a caller finds a call slow and the answer was not, the time is
//! lost between the two: near the callee, or near a caller that loses calls to several.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use events::EventId;
use serde::{Deserialize, Serialize};

use super::scene::{Alarmed, Scene};

/// Who answers what: components without the number of the replica, by operation, and in how many
/// incidents they were seen to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Answering(BTreeMap<String, BTreeMap<String, u32>>);

/// What a caller finds wrong with calls of one operation.
#[derive(Debug)]
struct View<'s> {
    event: EventId,
    /// Who answers it.
    group: &'s str,
    /// The replicas of those that answered it in the same way.
    answered: BTreeSet<usize>,
}

/// By caller and what is wrong.
type Views<'s> = BTreeMap<(usize, &'s str), Vec<View<'s>>>;

impl Answering {
    /// Learns from incidents, whatever caused them.
    pub fn learned<'s>(scenes: impl Iterator<Item = &'s Scene>) -> Self {
        let mut answering: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
        for scene in scenes {
            let seen: BTreeSet<(&str, &str)> =
                answers(scene).map(|call| (call.operation.as_str(), group(scene, call))).collect();
            for (operation, group) in seen {
                let groups = answering.entry(operation.to_owned()).or_default();
                *groups.entry(group.to_owned()).or_default() += 1;
            }
        }
        Self(answering)
    }

    /// The incident with what callers saw told of those who answer them.
    pub fn told<'s>(&self, scene: &'s Scene) -> Cow<'s, Scene> {
        let views = self.views(scene);
        if views.is_empty() {
            return Cow::Borrowed(scene);
        }
        let mut told = scene.clone();
        for ((caller, direction), views) in &views {
            let lost = || views.iter().filter(|view| view.answered.is_empty());
            let loses = lost().map(|view| view.group).collect::<BTreeSet<&str>>().len();
            if loses > 1 {
                let events: Vec<EventId> = lost().map(|view| view.event).collect();
                told.show(*caller, &format!("loses {direction} to several"), 1.0, None, &events);
            }
            for view in views {
                for place in
                    (0..scene.parts.len()).filter(|at| scene.parts[*at].group == view.group)
                {
                    let mut show = |sign: &str| told.show(place, sign, 1.0, None, &[view.event]);
                    if view.answered.contains(&place) {
                        show(&format!("felt {direction}"));
                    } else if view.answered.is_empty() {
                        show(&format!("lost {direction}"));
                        if loses == 1 {
                            show(&format!("lost {direction} alone"));
                        }
                    }
                }
            }
        }
        Cow::Owned(told)
    }

    fn views<'s>(&'s self, scene: &'s Scene) -> Views<'s> {
        let here = Self::learned(std::iter::once(scene));
        let mut answered: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for call in answers(scene) {
            answered.entry(what(call)).or_default().push(call.callee);
        }
        let mut views = Views::new();
        for call in scene.calls.iter().filter(|call| call.caller == call.callee) {
            let Some(group) = here.who(call).or_else(|| self.who(call)) else { continue };
            let Some(member) = scene.parts.iter().find(|part| part.group == group) else {
                continue;
            };
            if member.group == scene.parts[call.caller].group {
                continue;
            }
            let answered = answered.get(&what(call)).into_iter().flatten().copied().collect();
            let view = View { event: call.event, group: &member.group, answered };
            views.entry((call.caller, call.direction.as_str())).or_default().push(view);
        }
        views
    }

    // One of several who answer an operation of this name is more likely than the others.
    fn who(&self, call: &Alarmed) -> Option<&str> {
        let groups = self.0.get(call.operation.as_str())?;
        let most = groups.iter().max_by_key(|(name, seen)| (**seen, std::cmp::Reverse(*name)))?;
        Some(most.0)
    }
}

fn answers(scene: &Scene) -> impl Iterator<Item = &Alarmed> {
    scene.calls.iter().filter(|call| call.caller != call.callee)
}

fn what(call: &Alarmed) -> (&str, &str) {
    (call.operation.as_str(), &call.direction)
}

fn group<'s>(scene: &'s Scene, call: &Alarmed) -> &'s str {
    &scene.parts[call.callee].group
}
