# The menu: `just` lists it. Needs https://just.systems; every recipe is a command that works
# without it too.

default:
    @just --list --unsorted

# Build both binaries and run the demo
demo *args:
    cargo build --bins && cargo run --quiet --bin faultline -- demo {{args}}

# How often the demo is right, over the seeds FIRST to LAST; about 2.5 minutes a seed
score-demo first="1" last="10" *args:
    cargo build --bins && cargo run --quiet --bin demo-score -- {{first}} {{last}} {{args}}

# Record seed-data/shop.ndjson anew; about 26 minutes, better on a machine with nothing else to do
record-seed-data *args:
    cargo build --bins && cargo run --quiet --bin record-seed-data -- {{args}}

# False alarms in an hour of traffic without faults, better on a machine with nothing else to do
quiet-hour *args:
    cargo build --bins && cargo run --quiet --bin quiet-hour -- {{args}}

# All tests
test:
    cargo test

# Crashes of the log on a simulated disk: of one seed (42) or of a range (0..1000)
sim seeds="0..48":
    FAULTLINE_SIM_SEEDS={{seeds}} cargo test -p events --lib simulation -- --nocapture

# What has to hold before a change lands
ci:
    .ci/run

# Formatting and lints, warnings as errors
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Licences and sources of the dependencies (needs cargo-deny)
deny:
    cargo deny check licenses bans sources

# The embedding that is built in, made anew (needs python3 and PyPI); about two minutes
distil-embedding *args:
    scripts/distil-embedding {{args}}

# Append speed of the log as ratios to a raw append
bench-log *args:
    cargo bench -p events --bench append -- {{args}}

# How fast the nearest of 10,000 to 100,000 incidents are found, as a ratio to comparing with each
bench-nearest:
    cargo bench -p diagnosis --bench nearest

# How long a search takes that knows meanings, as a ratio to words alone
bench-search:
    cargo bench -p diagnosis --bench search

# How long a ranking takes, as a ratio to reading the same evidence once
bench-rank:
    cargo bench -p diagnosis --bench rank

# How fast it starts, is made again and answers, and its memory, as ratios to bare SurrealQL
bench *args:
    cargo build --workspace --release --bins && cargo bench --workspace --bench knowledge -- {{args}}

# How fast events come in over HTTP and reach the graph, as ratios to the log and to bare SurrealQL
bench-ingest *args:
    cargo build --workspace --release --bins && cargo bench --workspace --bench ingest -- {{args}}

# How fast OpenTelemetry's data are summarised, as ratios to decoding alone, and their memory
bench-otlp:
    cargo bench -p receivers --bench absorb
