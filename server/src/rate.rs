//! How often one caller may ask: a token, or an address without one.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use events::TokenId;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::auth::Caller;
use crate::config::RateConfig;

/// The allowances of all callers.
pub(crate) struct Rate {
    allowances: Option<Allowances>,
    clock: DefaultClock,
}

struct Allowances {
    /// There are only as many as there are tokens.
    tokens: DefaultKeyedRateLimiter<TokenId>,
    peers: DefaultKeyedRateLimiter<Option<IpAddr>>,
    max_peers: usize,
    begun: Instant,
    swept_s: AtomicU64,
}

impl Rate {
    pub(crate) fn new(config: &RateConfig) -> Self {
        let quota = NonZeroU32::new(config.requests_per_s).zip(NonZeroU32::new(config.burst));
        let allowances = quota.map(|(per_second, burst)| {
            let quota = Quota::per_second(per_second).allow_burst(burst);
            Allowances {
                tokens: RateLimiter::keyed(quota),
                peers: RateLimiter::keyed(quota),
                max_peers: config.max_callers,
                begun: Instant::now(),
                swept_s: AtomicU64::new(0),
            }
        });
        Self { allowances, clock: DefaultClock::default() }
    }

    /// Takes one request off the caller's allowance, or says how long to wait.
    pub(crate) fn take(
        &self,
        caller: Option<&Caller>,
        peer: Option<IpAddr>,
    ) -> Result<(), Duration> {
        let Some(allowances) = &self.allowances else { return Ok(()) };
        let taken = match caller.and_then(|caller| caller.token.as_ref()) {
            Some(token) => allowances.tokens.check_key(token),
            None => allowances.peers.check_key(&allowances.told_apart(peer.map(network))),
        };
        taken.map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

impl Allowances {
    /// The peer, or nobody in particular once there are too many: those share one allowance.
    fn told_apart(&self, peer: Option<IpAddr>) -> Option<IpAddr> {
        if self.peers.len() < self.max_peers {
            return peer;
        }
        // Forgetting whose allowance is whole again looks at all of them: once a second.
        let now = self.begun.elapsed().as_secs() + 1;
        if self.swept_s.swap(now, Ordering::Relaxed) != now {
            self.peers.retain_recent();
        }
        peer.filter(|_| self.peers.len() < self.max_peers)
    }
}

/// A machine has all addresses of its /64 to itself in version 6.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(peer) => {
            let [a, b, c, d, ..] = peer.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        peer => peer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Scopes;

    fn rate(burst: u32, max_callers: usize) -> Rate {
        Rate::new(&RateConfig { requests_per_s: 1, burst, max_callers })
    }

    fn peer(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn each_caller_has_an_allowance_of_its_own() {
        let rate = rate(2, 10);
        let mut ada = Caller::anonymous(Scopes::default());
        ada.token = Some(TokenId::new("ada").unwrap());
        for _ in 0..2 {
            assert!(rate.take(None, peer(1)).is_ok());
            assert!(rate.take(Some(&ada), peer(1)).is_ok());
        }
        let wait = rate.take(None, peer(1)).expect_err("used up");
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert!(rate.take(Some(&ada), peer(2)).is_err(), "a token is the same from anywhere");
        assert!(rate.take(None, peer(2)).is_ok());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let rate = rate(1, 3);
        for last in 0..200 {
            let _ = rate.take(None, peer(last));
        }
        let allowances = rate.allowances.as_ref().unwrap();
        assert!(allowances.peers.len() <= 4, "{}", allowances.peers.len());
        assert!(rate.take(None, peer(201)).is_err(), "those beyond share one");
    }

    #[test]
    fn a_machine_is_its_network_in_version_6() {
        let same = |left: &str, right: &str| {
            network(left.parse().unwrap()) == network(right.parse().unwrap())
        };
        assert!(same("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let config = RateConfig { requests_per_s: 0, ..RateConfig::default() };
        let rate = Rate::new(&config);
        assert!((0..100_000).all(|_| rate.take(None, None).is_ok()));
    }
}
