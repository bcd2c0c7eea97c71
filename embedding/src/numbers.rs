//! Numbers as they lie in a file, little-endian.

use half::f16;

/// What the numbers of a row are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Whole numbers from -128 to 127; their scale does not matter, or is in the weights.
    I8,
    /// IEEE 754 binary16.
    F16,
    /// IEEE 754 binary32.
    F32,
}

impl Number {
    /// How many bytes one takes.
    pub fn bytes(self) -> usize {
        match self {
            Self::I8 => 1,
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    /// Adds `weight` times the numbers of `row` to `sums`.
    pub fn add(self, row: &[u8], weight: f64, sums: &mut [f64]) {
        match self {
            Self::I8 => add(row, weight, sums, |[byte]: [u8; 1]| f64::from(byte as i8)),
            Self::F16 => add(row, weight, sums, |bytes| f16::from_le_bytes(bytes).to_f64()),
            Self::F32 => add(row, weight, sums, |bytes| f64::from(f32::from_le_bytes(bytes))),
        }
    }

    /// Whether all are finite.
    pub fn are_finite(self, rows: &[u8]) -> bool {
        match self {
            Self::I8 => true,
            Self::F16 => all(rows, |bytes| f16::from_le_bytes(bytes).is_finite()),
            Self::F32 => all(rows, |bytes| f32::from_le_bytes(bytes).is_finite()),
        }
    }
}

fn add<const N: usize>(row: &[u8], weight: f64, sums: &mut [f64], read: impl Fn([u8; N]) -> f64) {
    let (numbers, _) = row.as_chunks::<N>();
    for (sum, bytes) in sums.iter_mut().zip(numbers) {
        *sum += weight * read(*bytes);
    }
}

fn all<const N: usize>(rows: &[u8], holds: impl Fn([u8; N]) -> bool) -> bool {
    let (numbers, _) = rows.as_chunks::<N>();
    numbers.iter().all(|bytes| holds(*bytes))
}

/// The numbers of `bytes`, each of which is read by `read`.
pub fn read_all<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (numbers, _) = bytes.as_chunks::<N>();
    numbers.iter().map(|bytes| read(*bytes)).collect()
}
