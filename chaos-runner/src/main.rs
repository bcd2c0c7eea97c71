//! The `chaos-runner` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    chaos_runner::cli::main()
}
