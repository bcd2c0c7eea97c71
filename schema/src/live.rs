//! The graph that answers at the moment, until a rebuilt one takes its place (PR-5).

use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;

use crate::graph::Graph;

/// The graph in use. Clones share it.
///
/// Whoever asks takes [`Self::current`] once and asks nothing else until the answer is whole: a
/// graph that is replaced meanwhile stays as it is for as long as someone holds it.
#[derive(Clone, Debug)]
pub struct LiveGraph(Arc<ArcSwap<Graph>>);

impl LiveGraph {
    /// The graph as of now.
    pub fn current(&self) -> Arc<Graph> {
        self.0.load_full()
    }

    /// A handle that does not keep the graph open.
    pub(crate) fn downgrade(&self) -> WeakLiveGraph {
        WeakLiveGraph(Arc::downgrade(&self.0))
    }

    /// Whoever asks from now on is answered by `next`; answers the graph before.
    pub(crate) fn replace(&self, next: Arc<Graph>) -> Arc<Graph> {
        self.0.swap(next)
    }
}

/// The graph in use for as long as somebody else uses it.
#[derive(Clone, Debug)]
pub(crate) struct WeakLiveGraph(Weak<ArcSwap<Graph>>);

impl WeakLiveGraph {
    /// The graph as of now; nothing once nobody uses one.
    pub(crate) fn current(&self) -> Option<Arc<Graph>> {
        self.0.upgrade().map(|graph| graph.load_full())
    }
}

impl From<Arc<Graph>> for LiveGraph {
    fn from(graph: Arc<Graph>) -> Self {
        Self(Arc::new(ArcSwap::new(graph)))
    }
}
