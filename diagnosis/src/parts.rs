//! One pass over many entries, on several processors at once.

use std::num::NonZero;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::thread;

/// A part has so many entries at least: fewer are passed over sooner than a thread begins.
const LEAST: usize = if cfg!(test) { 64 } else { 8_192 };
/// Parts begin at multiples of this many, so that bits of entries are not cut within a byte.
pub const GRANULE: usize = 64;
/// No question takes more processors than these: such passes wait for memory soon.
const MOST: usize = 8;

/// What `of` makes of numbers, which are cut into ranges for several processors, in the order of the
/// ranges. Each is a multiple of [`GRANULE`] behind the first number. Where `of` looks at each number
/// by itself, the parts together are the same on any machine.
pub fn in_parts<T: Send>(
    numbers: Range<usize>,
    of: impl Fn(Range<usize>) -> Vec<T> + Sync,
) -> Vec<T> {
    let count = numbers.len();
    let parts = processors().min(count / LEAST).max(1);
    let end = |part: usize| match part == parts {
        true => numbers.end,
        false => numbers.start + count * part / parts / GRANULE * GRANULE,
    };
    let of = &of;
    thread::scope(|scope| {
        let begin = |part: usize| {
            let range = end(part)..end(part + 1);
            let theirs = range.clone();
            (range, thread::Builder::new().spawn_scoped(scope, move || of(theirs)))
        };
        let others: Vec<_> = (1..parts).map(begin).collect();
        let mut all = of(numbers.start..end(1));
        for (range, other) in others {
            all.extend(match other {
                Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                // The system has no thread left.
                Err(_) => of(range),
            });
        }
        all
    })
}

/// How many processors there are is asked once: the system may read files for it. No answer
/// depends on it.
fn processors() -> usize {
    if cfg!(test) {
        return 3;
    }
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get).min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_together_are_the_whole_in_order() {
        for count in [0, 1, LEAST - 1, LEAST, 2 * LEAST, 7 * LEAST + 3] {
            for from in [0, 5 * GRANULE] {
                let numbers = from..from + count;
                let all = in_parts(numbers.clone(), |range| range.filter(|n| n % 3 != 1).collect());
                assert!(all.into_iter().eq(numbers.clone().filter(|n| n % 3 != 1)), "{count}");
                let begins = in_parts(numbers, |range| vec![range.start]);
                assert!(begins.iter().all(|begin| begin % GRANULE == 0), "{begins:?}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "in any part")]
    fn a_panic_of_any_part_is_one_of_the_whole() {
        in_parts(0..8 * LEAST, |range| {
            assert!(!range.contains(&(8 * LEAST - 1)), "in any part");
            Vec::<usize>::new()
        });
    }
}
