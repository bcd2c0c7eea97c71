//! Comma-separated files, plain or gzip'd, whichever is there.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// Why a data set could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The folder or file cannot be read; that it is missing is no error where it may be.
    #[error("{path} could not be read", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The folder holds nothing of the format.
    #[error("{path} holds no {expected}", path = path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
        /// What should be there.
        expected: &'static str,
    },
}

impl ReadError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

/// Opens `path`, or `path` with `.gz` after it; `None` when neither is there.
pub fn open(path: &Path) -> Result<Option<Box<dyn Read>>, ReadError> {
    let mut zipped = path.as_os_str().to_owned();
    zipped.push(".gz");
    let zipped = PathBuf::from(zipped);
    if let Some(file) = open_file(path)? {
        return Ok(Some(Box::new(BufReader::new(file))));
    }
    let file = open_file(&zipped)?;
    Ok(file.map(|file| Box::new(MultiGzDecoder::new(BufReader::new(file))) as Box<dyn Read>))
}

fn open_file(path: &Path) -> Result<Option<File>, ReadError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ReadError::io(path, error)),
    }
}

/// The rows of a table as text; shorter and longer rows than the first are rows too.
pub fn rows(path: &Path) -> Result<Option<csv::Reader<Box<dyn Read>>>, ReadError> {
    let Some(source) = open(path)? else { return Ok(None) };
    Ok(Some(csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(source)))
}

/// The whole file as text; `None` when it is not there.
pub fn text(path: &Path) -> Result<Option<String>, ReadError> {
    let Some(mut source) = open(path)? else { return Ok(None) };
    let mut text = String::new();
    source.read_to_string(&mut text).map_err(|error| ReadError::io(path, error))?;
    Ok(Some(text))
}

/// The folders inside `path`, by name; none when it is not there.
pub fn folders(path: &Path) -> Result<Vec<String>, ReadError> {
    entries(path, |kind| kind.is_dir())
}

/// The files inside `path`, by name without `.gz`; none when it is not there.
pub fn files(path: &Path) -> Result<Vec<String>, ReadError> {
    let mut names = entries(path, |kind| kind.is_file())?;
    for name in &mut names {
        if let Some(plain) = name.strip_suffix(".gz") {
            *name = plain.to_owned();
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn entries(
    path: &Path,
    wanted: impl Fn(&std::fs::Metadata) -> bool,
) -> Result<Vec<String>, ReadError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ReadError::io(path, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| ReadError::io(path, error))?;
        // Through links: data sets are large and often elsewhere.
        let Ok(kind) = std::fs::metadata(entry.path()) else { continue };
        if let (true, Ok(name)) = (wanted(&kind), entry.file_name().into_string()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// A number in a cell; an empty one and anything that is no finite number is none.
pub fn number(cell: &str) -> Option<f64> {
    cell.trim().parse().ok().filter(|number: &f64| number.is_finite())
}
