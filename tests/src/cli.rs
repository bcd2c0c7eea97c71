//! The commands of `faultline` that end by themselves.

use std::path::Path;
use std::process::Command;

use crate::process::binary;

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs `faultline` on the base in `data`.
///
/// # Panics
/// When it does not start or is ended by a signal.
pub fn faultline(data: &Path, arguments: &[&str]) -> Said {
    let (command, rest) = arguments.split_first().expect("a command");
    let output = Command::new(binary("faultline"))
        .arg(command)
        .arg("--data")
        .arg(data)
        .args(rest)
        .env("NO_COLOR", "1")
        .output()
        .expect("the binary can be started");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said {
        code: output.status.code().expect("it ended by itself"),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

impl Said {
    /// Standard output of a command that succeeded.
    ///
    /// # Panics
    /// When it did not.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }
}
