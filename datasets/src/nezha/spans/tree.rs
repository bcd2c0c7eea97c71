//! Spans as parents and children.

use std::collections::HashMap;

use events::{ComponentName, Timestamp};

/// One span.
#[derive(Debug)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub component: ComponentName,
    pub operation: String,
    pub start: Timestamp,
    pub ms: f64,
}

/// What is known of a span through its relatives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Relatives {
    /// The index of its parent; `None` for the first of a trace and for one whose parent is lost.
    pub parent: Option<usize>,
    /// Children in the same component.
    pub own_children: usize,
    /// Children in other components.
    pub foreign_children: usize,
}

/// The relatives of every span.
pub fn relatives(spans: &[Span]) -> Vec<Relatives> {
    let mut places: HashMap<(&str, &str), usize> = HashMap::with_capacity(spans.len());
    for (index, span) in spans.iter().enumerate() {
        places.insert((&span.trace, &span.id), index);
    }
    let mut relatives = vec![Relatives::default(); spans.len()];
    for (index, span) in spans.iter().enumerate() {
        let parent = places.get(&(span.trace.as_str(), span.parent.as_str())).copied();
        let Some(parent) = parent.filter(|parent| *parent != index) else { continue };
        relatives[index].parent = Some(parent);
        if spans[parent].component == span.component {
            relatives[parent].own_children += 1;
        } else {
            relatives[parent].foreign_children += 1;
        }
    }
    relatives
}
