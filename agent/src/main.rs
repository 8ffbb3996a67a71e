//! `vitrina-agent`.

use std::process::ExitCode;

fn main() -> ExitCode {
    vitrina_agent::cli::main()
}
