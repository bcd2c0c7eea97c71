//! Distributions as they are kept: in few bytes.
//!
//! Of every series the last distribution is kept, and one for each window that is open: with
//! many series this is what the memory goes to. The bounds are the same for thousands of series
//! and are kept once. Counts are varints as in Protocol Buffers, without the zeros at their end.
//!
//! `sum f64 | count | form | …`, where the form says what follows:
//!
//! | form | what follows |
//! |---|---|
//! | 0 | nothing: no buckets |
//! | 1 | pairs of quantile and value, f64 each |
//! | 2 | scale, offset (zigzag), zeros, counts |
//! | 3 | number of bounds, bounds as f64, counts |
//! | 4 + n | counts between the bounds that have number n |

use std::borrow::Cow;

use ahash::AHashMap;
use prost_otlp::encoding::{decode_varint, encode_varint};
use xxhash_rust::xxh3::Xxh3;

use super::histogram::{Buckets, Distribution};

const BARE: u64 = 0;
const SUMMARY: u64 = 1;
const EXPONENTIAL: u64 = 2;
const OWN_BOUNDS: u64 = 3;
const KNOWN_BOUNDS: u64 = 4;

/// Most different bounds that are kept once. Those of further series are kept with each value,
/// so that whoever makes up bounds pays with the room of their own series.
const MOST_KNOWN: usize = 4_096;

/// A distribution, packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed(Box<[u8]>);

impl Packed {
    /// How many it counts, and their sum.
    pub fn total(&self) -> (u64, f64) {
        let mut rest = &self.0[..];
        let sum = number(&mut rest);
        (whole(&mut rest), sum)
    }
}

/// Packs and unpacks distributions, and knows the bounds that they share.
#[derive(Debug, Default)]
pub struct Packer {
    bounds: Vec<Box<[f64]>>,
    by_hash: AHashMap<u64, usize>,
    /// The bounds that were packed last: the next point mostly has the same.
    last: usize,
    written: Vec<u8>,
}

impl Packer {
    pub fn pack(&mut self, distribution: &Distribution<'_>) -> Packed {
        let mut to = std::mem::take(&mut self.written);
        to.clear();
        to.extend(distribution.sum.to_le_bytes());
        encode_varint(distribution.count, &mut to);
        match &distribution.buckets {
            Buckets::Explicit { counts, .. } if counts.is_empty() => encode_varint(BARE, &mut to),
            Buckets::Explicit { bounds, counts } => {
                match self.number_of(bounds) {
                    Some(number) => encode_varint(KNOWN_BOUNDS + number as u64, &mut to),
                    None => {
                        encode_varint(OWN_BOUNDS, &mut to);
                        encode_varint(bounds.len() as u64, &mut to);
                        to.extend(bounds.iter().flat_map(|bound| bound.to_le_bytes()));
                    }
                }
                write_counts(counts, &mut to);
            }
            Buckets::Exponential { scale, offset, zero, counts } => {
                encode_varint(EXPONENTIAL, &mut to);
                encode_varint(zigzag(*scale), &mut to);
                encode_varint(zigzag(*offset), &mut to);
                encode_varint(*zero, &mut to);
                write_counts(counts, &mut to);
            }
            Buckets::Summary { quantiles } => {
                encode_varint(SUMMARY, &mut to);
                for (quantile, value) in quantiles {
                    to.extend(quantile.to_le_bytes());
                    to.extend(value.to_le_bytes());
                }
            }
        }
        let packed = Packed(to.as_slice().into());
        self.written = to;
        packed
    }

    /// What was packed by this packer.
    pub fn unpack(&self, packed: &Packed) -> Distribution<'_> {
        let mut rest = &packed.0[..];
        let sum = number(&mut rest);
        let count = whole(&mut rest);
        let buckets = match whole(&mut rest) {
            BARE => Buckets::Explicit { bounds: Cow::default(), counts: Cow::default() },
            SUMMARY => {
                let mut quantiles = Vec::new();
                while !rest.is_empty() {
                    quantiles.push((number(&mut rest), number(&mut rest)));
                }
                Buckets::Summary { quantiles }
            }
            EXPONENTIAL => {
                let scale = unzigzag(whole(&mut rest));
                let offset = unzigzag(whole(&mut rest));
                let zero = whole(&mut rest);
                Buckets::Exponential { scale, offset, zero, counts: read_counts(rest, 0) }
            }
            OWN_BOUNDS => {
                let bounds: Vec<f64> = (0..whole(&mut rest)).map(|_| number(&mut rest)).collect();
                let counts = read_counts(rest, bounds.len() + 1);
                Buckets::Explicit { bounds: bounds.into(), counts }
            }
            known => {
                let bounds = &self.bounds[(known - KNOWN_BOUNDS) as usize];
                let counts = read_counts(rest, bounds.len() + 1);
                Buckets::Explicit { bounds: Cow::Borrowed(bounds), counts }
            }
        };
        Distribution { count, sum, buckets }
    }

    fn number_of(&mut self, bounds: &[f64]) -> Option<usize> {
        if self.bounds.get(self.last).is_some_and(|last| **last == *bounds) {
            return Some(self.last);
        }
        let mut hash = Xxh3::new();
        bounds.iter().for_each(|bound| hash.update(&bound.to_le_bytes()));
        let hash = hash.digest();
        let number = match self.by_hash.get(&hash) {
            Some(number) if *self.bounds[*number] == *bounds => *number,
            None if self.bounds.len() < MOST_KNOWN => {
                self.by_hash.insert(hash, self.bounds.len());
                self.bounds.push(bounds.into());
                self.bounds.len() - 1
            }
            _ => return None,
        };
        self.last = number;
        Some(number)
    }
}

fn write_counts(counts: &[u64], to: &mut Vec<u8>) {
    let up_to = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
    counts[..up_to].iter().for_each(|count| encode_varint(*count, to));
}

fn read_counts(mut rest: &[u8], least: usize) -> Cow<'static, [u64]> {
    let mut counts = Vec::with_capacity(least.max(rest.len()));
    while !rest.is_empty() {
        counts.push(whole(&mut rest));
    }
    counts.resize(counts.len().max(least), 0);
    counts.into()
}

fn whole(rest: &mut &[u8]) -> u64 {
    decode_varint(rest).expect("what is packed is whole")
}

fn number(rest: &mut &[u8]) -> f64 {
    let (number, behind) = rest.split_first_chunk().expect("what is packed is whole");
    *rest = behind;
    f64::from_le_bytes(*number)
}

fn zigzag(number: i32) -> u64 {
    u64::from(((number << 1) ^ (number >> 31)).cast_unsigned())
}

fn unzigzag(number: u64) -> i32 {
    let number = number as u32;
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count() -> impl Strategy<Value = u64> {
        prop_oneof![2 => Just(0), 2 => 0..200_u64, 1 => 0..1_u64 << 53]
    }

    fn buckets() -> impl Strategy<Value = Buckets<'static>> {
        let bounds = prop::collection::btree_set(-1_000..1_000_i32, 0..20);
        let explicit = (bounds, prop::collection::vec(count(), 21)).prop_map(|(bounds, counts)| {
            let bounds: Vec<f64> = bounds.into_iter().map(|bound| f64::from(bound) / 7.0).collect();
            let counts = counts[..=bounds.len()].to_vec();
            Buckets::Explicit { bounds: bounds.into(), counts: counts.into() }
        });
        let counts = prop::collection::vec(count(), 0..20).prop_map(|mut counts| {
            // Zeros at the end say nothing, and are not kept.
            counts.truncate(counts.iter().rposition(|it| *it > 0).map_or(0, |last| last + 1));
            counts
        });
        let exponential = (-10..=20, -(1 << 29)..1 << 29, count(), counts).prop_map(
            |(scale, offset, zero, counts)| Buckets::Exponential {
                scale,
                offset,
                zero,
                counts: counts.into(),
            },
        );
        let summary = prop::collection::vec((0.0..1.0, -1e9..1e9), 0..6)
            .prop_map(|quantiles| Buckets::Summary { quantiles });
        let bare = Just(Buckets::Explicit { bounds: Cow::default(), counts: Cow::default() });
        prop_oneof![4 => explicit, 3 => exponential, 2 => summary, 1 => bare]
    }

    proptest! {
        #[test]
        fn what_is_packed_is_what_was_sent(
            all in prop::collection::vec((count(), -1e12..1e12, buckets()), 1..20),
        ) {
            let mut packer = Packer::default();
            let all: Vec<Distribution<'_>> = all
                .into_iter()
                .map(|(count, sum, buckets)| Distribution { count, sum, buckets })
                .collect();
            let packed: Vec<Packed> = all.iter().map(|it| packer.pack(it)).collect();
            for (sent, packed) in all.iter().zip(&packed) {
                prop_assert_eq!(&packer.unpack(packed), sent);
                prop_assert_eq!(packed.total(), (sent.count, sent.sum));
            }
        }
    }

    #[test]
    fn bounds_are_kept_once_and_not_without_end() {
        let mut packer = Packer::default();
        let of = |bounds: Vec<f64>| {
            let counts = vec![1_000; bounds.len() + 1];
            let buckets = Buckets::Explicit { bounds: bounds.into(), counts: counts.into() };
            Distribution { count: 15_000, sum: 1.5, buckets }
        };
        let usual = of((0..14).map(f64::from).collect());
        let made_up = |n: usize| of(vec![n as f64 + 0.5]);
        for n in 0..2 * MOST_KNOWN {
            assert_eq!(packer.pack(&usual).0.len(), 8 + 2 + 1 + 15 * 2);
            let packed = packer.pack(&made_up(n));
            assert_eq!(packer.unpack(&packed), made_up(n));
        }
        assert_eq!(packer.bounds.len(), MOST_KNOWN);
    }
}
