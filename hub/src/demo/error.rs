//! Why a demo failed.

use std::io;
use std::path::PathBuf;

use vitrina_host::os::OsError;
use vitrina_host::output::OutError;

/// What went wrong. The demo's folder is kept then.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    /// A file of the demo.
    #[error("cannot {doing} {}", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The operating system.
    #[error("the operating system refused")]
    Os(#[from] OsError),
    /// A program does not start, or its socket is not there.
    #[error("cannot {doing}")]
    Start { doing: String, source: io::Error },
    /// A server ended, or said nothing, before it was ready.
    #[error("{program} is not ready: {said}")]
    NotReady { program: String, said: String },
    /// A command did not do what it was asked.
    #[error("`{command}` ended with {code}: {said}")]
    Command {
        command: String,
        code: String,
        said: String,
    },
    /// No answer to a call.
    #[error("no answer to {call}")]
    Call {
        call: String,
        source: reqwest::Error,
    },
    /// An answer that no demo expects.
    #[error("{call} was answered {answer}")]
    Answer { call: String, answer: String },
    /// Something did not come in time.
    #[error("waited in vain until {what}; seen last: {seen}")]
    Waited { what: String, seen: String },
    /// The embedded chain cannot be read.
    #[error("the demo's own file {name} cannot be read: {why}")]
    Fixture { name: String, why: String },
    /// Hub and agents do not agree, or the books do not balance.
    #[error("{0}")]
    Disagreement(String),
    /// The person asked twice.
    #[error("interrupted")]
    Interrupted,
    /// The output.
    #[error(transparent)]
    Out(#[from] OutError),
}

impl DemoError {
    pub(super) fn file(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            doing,
            path,
            source,
        }
    }

    pub(super) fn start(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Start { doing, source }
    }

    pub(super) fn answer(call: impl Into<String>, answer: &(impl ToString + ?Sized)) -> Self {
        Self::Answer {
            call: call.into(),
            answer: answer.to_string(),
        }
    }
}
