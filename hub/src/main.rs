//! `vitrina-hub`: the hub's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    vitrina_hub::cli::main()
}
