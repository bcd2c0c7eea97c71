//! What can be wrong with a version: an endpoint that fails, one that is slow, a leak.

use std::sync::Mutex;
use std::time::Duration;

use axum::http::Method;
use rand::RngExt;

/// The flaws of the version that is deployed; none by default.
#[derive(clap::Args, Clone, Debug, Default, PartialEq)]
pub struct FlawArgs {
    /// The endpoint with the flaw, such as `GET /catalog`; every endpoint when absent.
    #[arg(long)]
    pub flawed_endpoint: Option<String>,
    /// Share of requests that are answered 500.
    #[arg(long, default_value_t = 0.0)]
    pub error_probability: f64,
    /// Delay of every request.
    #[arg(long, default_value_t = 0)]
    pub slow_ms: u64,
    /// Memory kept for every request.
    #[arg(long, default_value_t = 0)]
    pub leak_bytes: usize,
    /// No more is kept past this; the process should break the shop, not the machine.
    #[arg(long, default_value_t = 0)]
    pub leak_limit_bytes: usize,
}

impl FlawArgs {
    /// The command line that gives these flaws.
    pub(crate) fn to_arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--error-probability={}", self.error_probability),
            format!("--slow-ms={}", self.slow_ms),
            format!("--leak-bytes={}", self.leak_bytes),
            format!("--leak-limit-bytes={}", self.leak_limit_bytes),
        ];
        if let Some(endpoint) = &self.flawed_endpoint {
            arguments.push(format!("--flawed-endpoint={endpoint}"));
        }
        arguments
    }
}

/// What a flaw does to one request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Effect {
    pub(super) delay: Duration,
    pub(super) fails: bool,
}

/// The flaws of a version, at work.
#[derive(Default)]
pub(super) struct Flaw {
    args: FlawArgs,
    kept: Mutex<Vec<Vec<u8>>>,
}

impl From<FlawArgs> for Flaw {
    fn from(args: FlawArgs) -> Self {
        Self { args, kept: Mutex::default() }
    }
}

impl Flaw {
    /// Does to one request what the version does wrong.
    pub(super) fn act(&self, method: &Method, path: &str) -> Effect {
        if !self.hits(method, path) {
            return Effect::default();
        }
        if self.args.leak_bytes > 0 {
            self.leak();
        }
        Effect {
            delay: Duration::from_millis(self.args.slow_ms),
            fails: self.args.error_probability > 0.0
                && rand::rng().random_bool(self.args.error_probability.min(1.0)),
        }
    }

    fn hits(&self, method: &Method, path: &str) -> bool {
        let Some(endpoint) = &self.args.flawed_endpoint else { return true };
        let (flawed_method, prefix) = endpoint.split_once(' ').unwrap_or(("", endpoint));
        (flawed_method.is_empty() || flawed_method == method.as_str())
            && path.strip_prefix(prefix).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/')
            })
    }

    /// Keeps memory and looks through all that is kept, as a cache without a bound does: the
    /// version grows and slows down.
    fn leak(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let size = self.args.leak_bytes;
        if (kept.len() + 1) * size <= self.args.leak_limit_bytes {
            let mark = u8::try_from(kept.len() % 251 + 1).unwrap_or(1);
            kept.push(vec![mark; size]);
        }
        let found = kept.iter().flat_map(|page| page.iter().step_by(1_024)).filter(|b| **b == 0);
        std::hint::black_box(found.count());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(endpoint: Option<&str>) -> Flaw {
        let flawed_endpoint = endpoint.map(str::to_owned);
        Flaw::from(FlawArgs { flawed_endpoint, error_probability: 1.0, ..FlawArgs::default() })
    }

    #[test]
    fn only_the_flawed_endpoint_fails() {
        let flaw = flaw(Some("GET /catalog"));
        assert!(flaw.act(&Method::GET, "/catalog").fails);
        assert!(flaw.act(&Method::GET, "/catalog/7").fails);
        assert!(!flaw.act(&Method::GET, "/catalogue").fails);
        assert!(!flaw.act(&Method::POST, "/catalog").fails);
        assert!(!flaw.act(&Method::GET, "/cart/1").fails);
    }

    #[test]
    fn without_an_endpoint_all_fail_and_without_a_flaw_none() {
        assert!(flaw(None).act(&Method::POST, "/payments").fails);
        assert_eq!(Flaw::default().act(&Method::POST, "/payments"), Effect::default());
    }

    #[test]
    fn a_leak_stops_at_its_limit() {
        let flaw = Flaw::from(FlawArgs {
            leak_bytes: 1_000,
            leak_limit_bytes: 3_500,
            ..FlawArgs::default()
        });
        for _ in 0..10 {
            flaw.act(&Method::GET, "/");
        }
        assert_eq!(flaw.kept.lock().unwrap().len(), 3);
    }
}
