//! One pass over many entries on all processors at once.

use std::num::NonZero;
use std::ops::Range;
use std::sync::OnceLock;
use std::thread;

/// Fewer entries are passed over sooner than a thread begins.
const LEAST: usize = 8_192;
/// Parts begin at multiples of this many, so that bits of entries are not cut within a byte.
const GRANULE: usize = 64;
/// No question takes more processors than these: such passes wait for memory soon.
const MOST: usize = 8;

/// What `of` makes of the numbers up to `count`, which are cut into a range for each processor, in
/// the order of the ranges. Whatever the machine, the parts together are the same. Ranges begin at
/// multiples of 64.
pub fn in_parts<T: Send>(count: usize, of: impl Fn(Range<usize>) -> Vec<T> + Sync) -> Vec<T> {
    let parts = processors().min(count / LEAST).max(1);
    let end = |part: usize| match part == parts {
        true => count,
        false => count * part / parts / GRANULE * GRANULE,
    };
    let of = &of;
    thread::scope(|scope| {
        let others: Vec<_> =
            (1..parts).map(|part| scope.spawn(move || of(end(part)..end(part + 1)))).collect();
        let mut all = of(0..end(1));
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    })
}

/// The system is asked for them once: that takes longer than a small pass.
fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get).min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_together_are_the_whole_in_order() {
        for count in [0, 1, LEAST - 1, LEAST, 2 * LEAST, 7 * LEAST + 3] {
            let all = in_parts(count, |range| range.filter(|n| n % 3 != 1).collect());
            assert!(all.into_iter().eq((0..count).filter(|n| n % 3 != 1)), "{count}");
            let begins = in_parts(count, |range| vec![range.start]);
            assert!(begins.iter().all(|begin| begin % 64 == 0), "{begins:?}");
        }
    }

    #[test]
    #[should_panic(expected = "in any part")]
    fn a_panic_of_any_part_is_one_of_the_whole() {
        in_parts(8 * LEAST, |range| {
            assert!(!range.contains(&(8 * LEAST - 1)), "in any part");
            Vec::<usize>::new()
        });
    }
}
