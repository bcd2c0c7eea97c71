//! When burning is alarming.

use jiff::SignedDuration;

/// A pair of looks back and a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurnRule {
    /// The long look back.
    pub long: SignedDuration,
    /// The short look back.
    pub short: SignedDuration,
    /// Times the rate at which the budget would last exactly its window.
    pub rate: f64,
    /// Whether someone has to be woken.
    pub page: bool,
}

impl BurnRule {
    /// The three rules that the workbook recommends for a budget of 30 days, the fastest first,
    /// with looks back in the same proportion to another window: 2 % of the budget in an hour
    /// (and in five minutes), 5 % in six hours (and in half an hour), 10 % in three days (and in
    /// six hours).
    pub fn usual(window: SignedDuration) -> [Self; 3] {
        let part = |number: i32, of: i32| (window / of) * number;
        let rule = |long, short, rate, page| Self { long, short, rate, page };
        [
            rule(part(1, 720), part(1, 8_640), 14.4, true),
            rule(part(6, 720), part(1, 1_440), 6.0, true),
            rule(part(72, 720), part(6, 720), 1.0, false),
        ]
    }
}
