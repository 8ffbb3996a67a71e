//! Commands that both programs have: completions, the manual page, the version.

use std::io;

use clap::Command;
use clap_complete::Shell;

use crate::output::{Out, OutError};

/// The commit this was built from, short; `dev` outside of a release build.
pub const COMMIT: &str = env!("VITRINA_COMMIT");

/// What `--version` says after the program's name: version and commit.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("VITRINA_COMMIT"), ")");

/// The shells that `completions` knows, for the program's own `clap` definition.
pub type CompletionShell = Shell;

/// Prints the completions of a program for a shell.
///
/// # Errors
///
/// [`OutError`].
pub fn completions(mut command: Command, shell: Shell, out: &mut Out) -> Result<(), OutError> {
    let name = command.get_name().to_owned();
    // Into memory first: the library panics when its writer fails.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    io::Write::write_all(out, &text)?;
    Ok(())
}

/// Prints the manual pages of a program and all its commands, one after the other, in roff.
///
/// # Errors
///
/// [`OutError`].
pub fn man(command: Command, out: &mut Out) -> Result<(), OutError> {
    let mut command = command;
    // Fills in what the commands inherit.
    command.build();
    render(&command, out)
}

fn render(command: &Command, out: &mut Out) -> Result<(), OutError> {
    clap_mangen::Man::new(command.clone()).render(out)?;
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
        .try_for_each(|sub| render(sub, out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Lang;

    fn program() -> Command {
        Command::new("vitrina-agent")
            .version(VERSION)
            .subcommand(Command::new("status").about("Shows what goes on"))
    }

    #[test]
    fn completions_and_manual_name_the_commands() {
        let (mut out, captured) = Out::captured(Lang::En);
        completions(program(), Shell::Bash, &mut out).unwrap();
        assert!(captured.text().contains("status"));

        let (mut out, captured) = Out::captured(Lang::En);
        man(program(), &mut out).unwrap();
        assert!(captured.text().contains("Shows what goes on"));
        assert!(captured.text().contains("vitrina\\-agent"));
    }

    #[test]
    fn the_version_names_the_commit() {
        assert!(VERSION.ends_with(&format!("({COMMIT})")));
        assert!(!COMMIT.is_empty());
    }
}
