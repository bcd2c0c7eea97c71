//! Fault drivers. All are real, and each is undone by clearing it, by its deadline, and when
//! the shop ends.
//!
//! | kind | acts on | arguments and defaults |
//! |---|---|---|
//! | `latency` | calls to the component | `delay_ms` 250 |
//! | `jitter` | calls to the component | `max_delay_ms` 600 |
//! | `bandwidth` | answers of the component | `bytes_per_second` 2000 |
//! | `connection_reset` | connections to the component | `probability` 0.5 |
//! | `black_hole` | connections to the component | |
//! | `partition` | connections to the component | |
//! | `http_error` | HTTP answers of the component | `probability` 0.5, `status` 503 |
//! | `slow_response` | answers of the component | `probability` 0.5, `delay_ms` 600 |
//! | `process_kill` | its process | |
//! | `process_pause` | its process | |
//! | `cpu_starvation` | its process | `stopped_share` 0.85, `period_ms` 400 |
//! | `memory_leak` | a new version | `bytes_per_request` 524288, `limit_bytes` 268435456 |
//! | `error_version` | a new version | `probability` 0.6, `endpoint` (all) |
//! | `slow_version` | a new version | `delay_ms` 500, `endpoint` (all) |
//! | `database_connection_failure` | connections to the database | |
//! | `pool_exhaustion` | the connection pool of `orders` | |
//! | `flood` | requests to the component | `rps` 250, `endpoint` (its cheapest) |
//!
//! `peer` narrows what acts on calls and connections to one caller. `endpoint` is a method and a
//! path such as `GET /catalog`.
