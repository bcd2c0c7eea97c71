//! The vectors of tokens, as Model2Vec's `model.safetensors` holds them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use half::f16;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, SafeTensors, TensorInfo};

use crate::EmbeddingError;
use crate::numbers::{Number, read_all};

/// Most numbers that a vector may have.
pub const MAX_DIMENSIONS: usize = 4_096;
/// Most vectors that a table may have.
pub const MAX_ROWS: usize = 1 << 24;

/// See the [module](self). Rows stay the bytes they are in the file: the built-in ones are part of
/// the program, and a table of halves is not doubled.
pub struct Table {
    bytes: Cow<'static, [u8]>,
    rows: Range<usize>,
    number: Number,
    dimensions: usize,
    /// By token.
    weights: Option<Vec<f64>>,
    /// The row of each token; without it the token's number is that of its row.
    mapping: Option<Vec<u32>>,
}

impl Table {
    /// Reads the file for a tokenizer of so many tokens.
    pub fn read(
        path: &Path,
        bytes: Cow<'static, [u8]>,
        tokens: usize,
    ) -> Result<Self, EmbeddingError> {
        let (header, metadata) = SafeTensors::read_metadata(&bytes)
            .map_err(|source| EmbeddingError::Format { path: path.to_owned(), source })?;
        let file = Tensors { path, bytes: &bytes, data: LENGTH_BYTES + header, metadata };
        let embeddings = file.tensor("embeddings").ok_or_else(|| EmbeddingError::NoTensor {
            path: path.to_owned(),
            tensor: "embeddings",
        })?;
        let (number, count, dimensions) = embeddings.table()?;
        let mapping = file.tensor("mapping").map(|it| it.mapping(tokens, count)).transpose()?;
        let weights = file.tensor("weights").map(|it| it.weights(tokens)).transpose()?;
        if mapping.is_none() && count != tokens {
            let expected = format!("a row for each of the tokenizer's {tokens} tokens");
            return Err(embeddings.wrong(format!("{count} rows"), expected));
        }
        let rows = embeddings.place.clone();
        Ok(Self { rows, number, dimensions, weights, mapping, bytes })
    }

    /// How many numbers a vector has.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The direction of the mean of the tokens' vectors; none when that is nowhere.
    pub fn mean(&self, tokens: &[u32]) -> Option<Vec<f32>> {
        let rows = &self.bytes[self.rows.clone()];
        let length = self.dimensions * self.number.bytes();
        // Finite 32-bit numbers, few of them: no sum leaves what 64 bits hold.
        let mut sums = vec![0.0; self.dimensions];
        for token in tokens.iter().map(|token| *token as usize) {
            let row = self.mapping.as_ref().map_or(token, |mapping| mapping[token] as usize);
            let weight = self.weights.as_ref().map_or(1.0, |weights| weights[token]);
            self.number.add(&rows[row * length..(row + 1) * length], weight, &mut sums);
        }
        let norm = sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt();
        (norm > 0.0).then(|| sums.iter().map(|sum| (sum / norm) as f32).collect())
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows.len() / self.number.bytes() / self.dimensions;
        f.debug_struct("Table")
            .field("rows", &rows)
            .field("dimensions", &self.dimensions)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// A file of tensors begins with the length of its header.
const LENGTH_BYTES: usize = 8;

struct Tensors<'f> {
    path: &'f Path,
    bytes: &'f [u8],
    /// Where the tensors begin.
    data: usize,
    metadata: Metadata,
}

impl<'f> Tensors<'f> {
    fn tensor(&'f self, name: &'static str) -> Option<Tensor<'f>> {
        let info = self.metadata.info(name)?;
        let (start, end) = info.data_offsets;
        let place = self.data + start..self.data + end;
        Some(Tensor { path: self.path, name, info, data: &self.bytes[place.clone()], place })
    }
}

struct Tensor<'f> {
    path: &'f Path,
    name: &'static str,
    info: &'f TensorInfo,
    data: &'f [u8],
    place: Range<usize>,
}

impl Tensor<'_> {
    fn wrong(&self, got: String, expected: String) -> EmbeddingError {
        EmbeddingError::Tensor { path: self.path.to_owned(), tensor: self.name, got, expected }
    }

    fn wrong_type(&self, expected: &str) -> EmbeddingError {
        self.wrong(format!("numbers of type {:?}", self.info.dtype), expected.to_owned())
    }

    /// What its numbers are, how many rows there are and how many numbers each has.
    fn table(&self) -> Result<(Number, usize, usize), EmbeddingError> {
        let number = match self.info.dtype {
            Dtype::I8 => Number::I8,
            Dtype::F16 => Number::F16,
            Dtype::F32 => Number::F32,
            _ => return Err(self.wrong_type("I8, F16 or F32")),
        };
        let (rows, dimensions) = match self.info.shape[..] {
            [rows @ 1..=MAX_ROWS, dimensions @ 1..=MAX_DIMENSIONS] => (rows, dimensions),
            _ => {
                let expected = format!(
                    "[rows, dimensions], at most {MAX_ROWS} rows of at most {MAX_DIMENSIONS}"
                );
                return Err(self.wrong(format!("the shape {:?}", self.info.shape), expected));
            }
        };
        if !number.are_finite(self.data) {
            return Err(self.not_finite());
        }
        Ok((number, rows, dimensions))
    }

    fn not_finite(&self) -> EmbeddingError {
        self.wrong("infinite numbers or ones that are none".to_owned(), "finite ones".to_owned())
    }

    fn is_one_a_token(&self, tokens: usize) -> Result<(), EmbeddingError> {
        if self.info.shape[..] == [tokens] {
            return Ok(());
        }
        let expected = format!("[{tokens}], one number for each of the tokenizer's tokens");
        Err(self.wrong(format!("the shape {:?}", self.info.shape), expected))
    }

    fn weights(&self, tokens: usize) -> Result<Vec<f64>, EmbeddingError> {
        self.is_one_a_token(tokens)?;
        let weights: Vec<f64> = match self.info.dtype {
            Dtype::F16 => read_all(self.data, |bytes| f16::from_le_bytes(bytes).to_f64()),
            Dtype::F32 => read_all(self.data, |bytes| f64::from(f32::from_le_bytes(bytes))),
            Dtype::F64 => read_all(self.data, f64::from_le_bytes),
            _ => return Err(self.wrong_type("F16, F32 or F64")),
        };
        // As large as 32 bits hold, so that no sum overflows.
        let largest = f64::from(f32::MAX);
        if !weights.iter().all(|weight| weight.abs() <= largest) {
            return Err(self.not_finite());
        }
        Ok(weights)
    }

    fn mapping(&self, tokens: usize, rows: usize) -> Result<Vec<u32>, EmbeddingError> {
        self.is_one_a_token(tokens)?;
        let mapping: Vec<i64> = match self.info.dtype {
            Dtype::I32 => read_all(self.data, |bytes| i64::from(i32::from_le_bytes(bytes))),
            Dtype::U32 => read_all(self.data, |bytes| i64::from(u32::from_le_bytes(bytes))),
            Dtype::I64 => read_all(self.data, i64::from_le_bytes),
            _ => return Err(self.wrong_type("I32, U32 or I64")),
        };
        let row = |row: i64| u32::try_from(row).ok().filter(|row| (*row as usize) < rows);
        mapping
            .into_iter()
            .map(|to| {
                row(to).ok_or_else(|| {
                    let expected = format!("rows from 0 to {}", rows - 1);
                    self.wrong(format!("a token of row {to}"), expected)
                })
            })
            .collect()
    }
}
