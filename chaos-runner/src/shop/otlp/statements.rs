//! Statements that a service sends to its database, and its pool of connections.
//!
//! The PostgreSQL protocol carries no trace context, and a database sends no spans of its own: the
//! client's span is all that is told of a statement, as with a real one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use events::Timestamp;
use opentelemetry::global::BoxedTracer;
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::trace::{Span, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use tokio_postgres::error::SqlState;

use super::Instruments;

/// The bounds that the conventions advise for durations of databases.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// What the statements of a service are told by.
pub(crate) struct Statements {
    tracer: Arc<BoxedTracer>,
    duration: Histogram<f64>,
    timeouts: Counter<u64>,
    database: Vec<KeyValue>,
    pool: &'static str,
}

/// A statement, as far as it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement {
    /// `INSERT`, `SELECT`, …
    pub(crate) operation: &'static str,
    /// The table.
    pub(crate) table: &'static str,
    /// Its text, with placeholders.
    pub(crate) text: &'static str,
}

/// How a pool of connections stands.
pub(crate) struct PoolCounts {
    /// Connections that someone uses.
    pub(crate) used: usize,
    /// Those that nobody does.
    pub(crate) idle: usize,
    /// How many there may be.
    pub(crate) most: usize,
    /// Requests that wait for one.
    pub(crate) waiting: usize,
}

impl Statements {
    /// For statements to the database `namespace` of the component `callee` at `address`.
    pub(crate) fn new(
        instruments: &Instruments,
        callee: &'static str,
        namespace: &'static str,
        address: SocketAddr,
    ) -> Self {
        let duration = instruments.meter.f64_histogram("db.client.operation.duration");
        let timeouts = instruments.meter.u64_counter("db.client.connection.timeouts");
        Self {
            tracer: Arc::clone(&instruments.tracer),
            duration: duration.with_unit("s").with_boundaries(SECONDS.to_vec()).build(),
            timeouts: timeouts.with_unit("{timeout}").build(),
            database: vec![
                KeyValue::new("db.system.name", "postgresql"),
                KeyValue::new("db.namespace", namespace),
                KeyValue::new("server.address", address.ip().to_string()),
                KeyValue::new("server.port", i64::from(address.port())),
                // On the metric as well: by the address alone a receiver would take it for
                // another database than the spans tell of.
                KeyValue::new("peer.service", callee),
            ],
            pool: namespace,
        }
    }

    /// Watches the pool of connections.
    pub(crate) fn watch_pool(
        &self,
        instruments: &Instruments,
        counts: impl Fn() -> PoolCounts + Clone + Send + Sync + 'static,
    ) {
        type Of = fn(&PoolCounts) -> usize;
        let pool = KeyValue::new("db.client.connection.pool.name", self.pool);
        let of = |state: &'static str| {
            [pool.clone(), KeyValue::new("db.client.connection.state", state)]
        };
        let (used, idle, count) = (of("used"), of("idle"), counts.clone());
        let meter = &instruments.meter;
        meter
            .i64_observable_up_down_counter("db.client.connection.count")
            .with_unit("{connection}")
            .with_callback(move |observer| {
                let counts = count();
                observer.observe(whole(counts.used), &used);
                observer.observe(whole(counts.idle), &idle);
            })
            .build();
        let gauges: [(_, _, Of); 2] = [
            ("db.client.connection.max", "{connection}", |counts| counts.most),
            ("db.client.connection.pending_requests", "{request}", |counts| counts.waiting),
        ];
        for (name, unit, of) in gauges {
            let (pool, counts) = ([pool.clone()], counts.clone());
            meter
                .i64_observable_up_down_counter(name)
                .with_unit(unit)
                .with_callback(move |observer| observer.observe(whole(of(&counts())), &pool))
                .build();
        }
    }

    /// No connection of the pool became free in time.
    pub(crate) fn waited_in_vain(&self) {
        let pool = KeyValue::new("db.client.connection.pool.name", self.pool);
        self.timeouts.add(1, &[pool]);
    }

    /// A connection could not be made since `began`. One that could is no news: the next
    /// statement tells of the database.
    pub(crate) fn unreachable(&self, began: Timestamp, error_type: String) {
        let error = KeyValue::new("error.type", error_type);
        let mut attributes = self.database.clone();
        attributes.extend([KeyValue::new("db.operation.name", "CONNECT"), error]);
        let span = self.tracer.span_builder(format!("CONNECT {}", self.pool));
        let span = span.with_kind(SpanKind::Client).with_start_time(SystemTime::from(began));
        let mut span = span.with_attributes(attributes.clone()).start(&*self.tracer);
        span.set_status(Status::error(""));
        span.end();
        let took = Timestamp::now().duration_since(began).as_secs_f64();
        self.duration.record(took.max(0.0), &attributes);
    }

    /// Runs a statement within the span that is the current one, and tells of it.
    pub(crate) async fn observe<T>(
        &self,
        statement: Statement,
        run: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, tokio_postgres::Error> {
        let mut executing = self.begin(statement);
        let outcome = run.await;
        executing.error = outcome.as_ref().err().map(error_type);
        outcome
    }

    fn begin(&self, Statement { operation, table, text }: Statement) -> Executing {
        let mut common = self.database.clone();
        common.extend([
            KeyValue::new("db.operation.name", operation),
            KeyValue::new("db.collection.name", table),
        ]);
        let mut attributes = common.clone();
        attributes.push(KeyValue::new("db.query.text", text));
        let span = self.tracer.span_builder(format!("{operation} {table}"));
        let span = span.with_kind(SpanKind::Client).with_attributes(attributes);
        Executing {
            duration: self.duration.clone(),
            context: Context::current_with_span(span.start(&*self.tracer)),
            began: Instant::now(),
            common,
            error: Some("cancelled".to_owned()),
        }
    }
}

/// What the conventions call the type of an error: the database's own code where it gave one.
pub(crate) fn error_type(error: &tokio_postgres::Error) -> String {
    error.code().map(SqlState::code).unwrap_or("connection").to_owned()
}

/// A statement that goes on. Dropped before it ended, it did not end in time.
struct Executing {
    duration: Histogram<f64>,
    context: Context,
    began: Instant,
    common: Vec<KeyValue>,
    error: Option<String>,
}

impl Drop for Executing {
    fn drop(&mut self) {
        let span = self.context.span();
        if let Some(error) = self.error.take() {
            let error = KeyValue::new("error.type", error);
            span.set_attribute(error.clone());
            span.set_status(Status::error(""));
            self.common.push(error);
        }
        span.end();
        self.duration.record(self.began.elapsed().as_secs_f64(), &self.common);
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
