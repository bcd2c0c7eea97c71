//! How far an operation is: a bar on a terminal, plain lines elsewhere.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows the progress of one operation on standard error.
#[derive(Debug)]
pub(crate) struct Meter {
    what: &'static str,
    bar: Option<ProgressBar>,
    started: Instant,
    told: Instant,
    done: u64,
}

fn rate(state: &ProgressState, out: &mut dyn fmt::Write) {
    // Only a terminal that is gone refuses it.
    let _ = write!(out, "{}/s", HumanCount(state.per_sec() as u64));
}

impl Meter {
    /// Nothing of `what` is done yet.
    pub(crate) fn new(what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{prefix} {bar:30} {human_pos}/{human_len} {rate}, {eta} left",
            );
            let bar = ProgressBar::new(0).with_prefix(what);
            match style {
                Ok(style) => bar.with_style(style.with_key("rate", rate)),
                Err(_) => bar,
            }
        });
        let now = Instant::now();
        Self { what, bar, started: now, told: now, done: 0 }
    }

    /// `done` of `total` are done.
    pub(crate) fn at(&mut self, done: u64, total: u64) {
        self.done = done;
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
        } else if self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            let rate = self.per_second();
            let left = total.saturating_sub(done) as f64 / rate.max(0.001);
            self.say(&format!("{}: {done} of {total}, {rate:.0}/s, {left:.0} s left", self.what));
        }
    }

    /// What was done a second so far.
    pub(crate) fn per_second(&self) -> f64 {
        self.done as f64 / self.started.elapsed().as_secs_f64().max(0.001)
    }

    /// How long it has taken.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say(&self, line: &str) {
        // Nobody may be reading.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
