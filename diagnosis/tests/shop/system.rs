//! The shop, one request at a time: each call takes its own time plus that of the calls it
//! makes, and fails when one of them does. No queues: capacity shows only under a flood.

use std::collections::BTreeMap;

use events::catalogue::fault_kind as kind;

use super::fault::Fault;
use super::rng::Rng;

pub const COMPONENTS: [&str; 7] =
    ["gateway", "catalog", "cart", "checkout", "payments", "orders", "database"];

pub const EDGES: [(&str, &str); 9] = [
    ("users", "gateway"),
    ("gateway", "catalog"),
    ("gateway", "cart"),
    ("gateway", "checkout"),
    ("cart", "catalog"),
    ("checkout", "cart"),
    ("checkout", "payments"),
    ("checkout", "orders"),
    ("orders", "database"),
];

/// How the shop is built and how loud its machine is.
#[derive(Clone, Copy, Debug)]
pub struct Build {
    pub requests_per_s: f64,
    pub window_ms: u64,
    /// What every client waits for an answer.
    pub timeout_ms: f64,
    /// Calls made again after a failure.
    pub retries: u32,
    /// Spread of a whole window's latency, of the logarithm.
    pub window_noise: f64,
    /// Every so many windows the machine is three times as slow; 0 for never.
    pub slow_window_every: usize,
    /// How long a pool tries to connect to a database that refuses.
    pub connect_wait_ms: f64,
}

impl Default for Build {
    fn default() -> Self {
        Self {
            requests_per_s: 50.0,
            window_ms: 2_000,
            timeout_ms: 1_000.0,
            retries: 0,
            window_noise: 0.1,
            slow_window_every: 0,
            connect_wait_ms: 0.0,
        }
    }
}

/// One call that ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub ms: f64,
    pub failed: bool,
}

/// Calls that ended, by window, caller and callee.
pub type Calls = BTreeMap<(usize, &'static str, &'static str), Vec<Ended>>;

#[derive(Clone, Copy, PartialEq)]
enum Route {
    Browse,
    Cart,
    Checkout,
    Flood,
}

pub struct Shop {
    build: Build,
    fault: Option<(Fault, f64, f64)>,
    rng: Rng,
    noise: BTreeMap<(usize, &'static str), f64>,
    pub calls: Calls,
}

impl Shop {
    /// A shop that suffers `fault` between two moments, in milliseconds.
    pub fn new(build: Build, fault: Option<(Fault, f64, f64)>, seed: u64) -> Self {
        let (noise, calls) = (BTreeMap::new(), Calls::new());
        Self { build, fault, rng: Rng::new(seed), noise, calls }
    }

    /// Users come and go for that long.
    pub fn run(&mut self, until_ms: f64) {
        let mut at = 0.0;
        while at < until_ms {
            at += self.rng.wait(self.build.requests_per_s / 1_000.0);
            let route = match self.rng.unit() {
                u if u < 0.5 => Route::Browse,
                u if u < 0.75 => Route::Cart,
                _ => Route::Checkout,
            };
            self.call("users", "gateway", route, at);
        }
        let Some((fault, from, to)) = self.fault.filter(|f| f.0.kind == kind::FLOOD) else {
            return;
        };
        let mut at = from;
        while at < to.min(until_ms) {
            at += self.rng.wait(self.build.requests_per_s * 8.0 / 1_000.0);
            self.call("users", fault.component, Route::Flood, at);
        }
    }

    /// The fault, when it is active at that moment.
    pub fn fault_at(&self, at: f64) -> Option<Fault> {
        self.fault.filter(|(_, from, to)| (*from..*to).contains(&at)).map(|(fault, ..)| fault)
    }

    fn call(&mut self, caller: &'static str, callee: &'static str, route: Route, at: f64) -> Ended {
        let mut total = 0.0;
        for attempt in 0..=self.build.retries {
            let ended = self.attempt(caller, callee, route, at + total);
            total += ended.ms;
            let last = attempt == self.build.retries || caller == "users";
            if !ended.failed || last {
                return Ended { ms: total, failed: ended.failed };
            }
        }
        unreachable!("the last attempt returns")
    }

    fn attempt(
        &mut self,
        caller: &'static str,
        callee: &'static str,
        route: Route,
        at: f64,
    ) -> Ended {
        let mut ended = self.exchange(caller, callee, route, at);
        let timeout = self.build.timeout_ms * if caller == "users" { 3.0 } else { 1.0 };
        if ended.ms >= timeout {
            ended = Ended { ms: timeout, failed: true };
        }
        let window = ((at + ended.ms) / self.build.window_ms as f64) as usize;
        self.calls.entry((window, caller, callee)).or_default().push(ended);
        ended
    }

    // What the link does to a call, around what the callee does with it.
    fn exchange(
        &mut self,
        caller: &'static str,
        callee: &'static str,
        route: Route,
        at: f64,
    ) -> Ended {
        let fault = self.fault_at(at).filter(|fault| fault.on_link(caller, callee));
        let never = Ended { ms: f64::INFINITY, failed: true };
        let (before_ms, spoiled) = match fault.map(|fault| fault.kind) {
            Some(kind::LATENCY) => (300.0, false),
            Some(kind::JITTER) => (self.rng.unit() * 400.0, false),
            Some(kind::BANDWIDTH) => (250.0 * self.rng.lognormal(0.6), false),
            Some(kind::CONNECTION_RESET) if self.rng.chance(0.5) => {
                return Ended { ms: 1.0 + self.rng.unit() * 4.0, failed: true };
            }
            Some(kind::BLACK_HOLE | kind::PROCESS_PAUSE) => return never,
            Some(kind::PARTITION | kind::PROCESS_KILL) => {
                return Ended { ms: 0.3 + self.rng.unit(), failed: true };
            }
            Some(kind::DATABASE_CONNECTION_FAILURE) => {
                return Ended { ms: 0.3 + self.rng.unit(), failed: true };
            }
            Some(kind::HTTP_ERROR) => (0.0, self.rng.chance(0.5)),
            Some(kind::SLOW_RESPONSE) if self.rng.chance(0.4) => (600.0, false),
            _ => (0.0, false),
        };
        let served = self.serve(callee, route, at + before_ms);
        let network = 0.3 + 0.4 * self.rng.unit();
        Ended { ms: before_ms + network + served.ms, failed: served.failed || spoiled }
    }

    fn serve(&mut self, component: &'static str, route: Route, at: f64) -> Ended {
        let mut ms = self.own_ms(component, at);
        let fault = self.fault_at(at).filter(|fault| fault.component == component);
        match fault.map(|fault| fault.kind) {
            Some(kind::CPU_STARVATION) if self.rng.chance(0.8) => ms += self.rng.unit() * 320.0,
            Some(kind::ERROR_VERSION) if self.rng.chance(0.6) => {
                return Ended { ms, failed: true };
            }
            Some(kind::SLOW_VERSION) => ms += 400.0,
            Some(kind::POOL_EXHAUSTION) if self.rng.chance(0.9) => {
                return Ended { ms: ms + 500.0, failed: true };
            }
            Some(kind::FLOOD) if self.rng.chance(0.5) => return Ended { ms: 1.0, failed: true },
            Some(kind::FLOOD) => ms = ms * 6.0 + 60.0,
            _ => {}
        }
        for (callee, route) in next(component, route) {
            let ended = self.call(component, callee, route, at + ms);
            ms += ended.ms;
            let refused = self.fault_at(at).is_some_and(|f| {
                f.kind == kind::DATABASE_CONNECTION_FAILURE && f.component == callee
            });
            if refused {
                ms += self.build.connect_wait_ms;
            }
            if ended.failed {
                return Ended { ms, failed: true };
            }
        }
        Ended { ms, failed: false }
    }

    fn own_ms(&mut self, component: &'static str, at: f64) -> f64 {
        let base = match component {
            "gateway" => 2.0,
            "catalog" | "payments" => 8.0,
            "database" => 4.0,
            _ => 4.0,
        };
        let window = (at / self.build.window_ms as f64) as usize;
        let (rng, sigma) = (&mut self.rng, self.build.window_noise);
        let noise = *self.noise.entry((window, component)).or_insert_with(|| rng.lognormal(sigma));
        let every = self.build.slow_window_every;
        let stalled = every > 0 && window % every == every - 1;
        base * noise * self.rng.lognormal(0.4) * if stalled { 3.0 } else { 1.0 }
    }
}

fn next(component: &str, route: Route) -> Vec<(&'static str, Route)> {
    match (component, route) {
        ("gateway", Route::Browse | Route::Flood) => vec![("catalog", Route::Browse)],
        ("gateway", Route::Cart) => vec![("cart", route)],
        ("gateway", Route::Checkout) => vec![("checkout", route)],
        ("cart", _) => vec![("catalog", Route::Browse)],
        ("checkout", _) => vec![("cart", route), ("payments", route), ("orders", route)],
        ("orders", _) => vec![("database", route), ("database", route)],
        _ => Vec::new(),
    }
}
