//! The SurrealDB graph of components and incidents, its projections, and GraphQL over it.

pub mod rows;
