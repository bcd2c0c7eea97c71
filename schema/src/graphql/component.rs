//! Components and who calls whom.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::error::ApiResult;
use super::experiment::Fault;
use super::id::global;
use super::incident::Incident;
use super::load::Loaders;
use super::page::{Cursor, Nodes, Page, cost};
use super::provenance::{Attribute, Provenance, attributes};
use super::scalar::DateTime;
use super::vocabulary::Criticality;
use crate::rows;

/// A part of the system that can fail: a service, a database, a load balancer, a client.
#[derive(Clone)]
pub struct Component(pub Arc<rows::Component>);

#[Object]
impl Component {
    /// Its global id.
    async fn id(&self) -> ID {
        global("component", &self.0.id)
    }

    /// Its name, unique among components.
    async fn name(&self) -> &str {
        self.0.id.as_str()
    }

    /// What it is: `service`, `database`, `client`, …
    async fn kind(&self) -> Option<&str> {
        self.0.kind.as_deref()
    }

    /// Who is called when it fails.
    async fn owner(&self) -> Option<&str> {
        self.0.owner.as_deref()
    }

    /// How much depends on it.
    async fn criticality(&self) -> Option<Criticality> {
        self.0.criticality.map(Into::into)
    }

    /// What it does.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Anything else that was said of it, by name.
    async fn attributes(&self) -> Vec<Attribute> {
        attributes(&self.0.attributes)
    }

    /// What saw it first: a proxy, a span, an alert.
    async fn discovered_by(&self) -> Option<&str> {
        self.0.discovered_by.as_deref()
    }

    /// The version that is live.
    async fn version(&self) -> Option<&str> {
        self.0.version.as_deref()
    }

    /// The earliest time at which something speaks of it.
    async fn first_seen(&self) -> Option<DateTime> {
        self.0.first_seen.map(DateTime)
    }

    /// The latest time at which something speaks of it.
    async fn last_seen(&self) -> Option<DateTime> {
        self.0.last_seen.map(DateTime)
    }

    /// The calls it makes, by callee.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async
