//! Trying again while another program holds a file.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Runs `action` again while it fails because somebody holds the file, for no longer than `patience`.
pub(super) fn while_held<T>(
    patience: Duration,
    is_held: impl Fn(&io::Error) -> bool,
    mut action: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let deadline = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        match action() {
            Err(error) if is_held(&error) && Instant::now() < deadline => {
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            end => return end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a virus scanner makes of a rename.
    fn held() -> io::Error {
        io::ErrorKind::ResourceBusy.into()
    }

    fn is_held(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::ResourceBusy
    }

    #[test]
    fn a_file_that_a_scanner_holds_for_a_moment_is_tried_again() {
        let mut tries = 0;

        let done = while_held(Duration::from_mins(1), is_held, || {
            tries += 1;
            if tries < 4 { Err(held()) } else { Ok(tries) }
        });

        assert_eq!(done.unwrap(), 4);
    }

    #[test]
    fn who_holds_a_file_for_ever_is_waited_for_only_so_long_and_other_errors_not_at_all() {
        let (mut of_holder, mut of_other) = (0, 0);

        let given_up = while_held(Duration::ZERO, is_held, || -> io::Result<()> {
            of_holder += 1;
            Err(held())
        });
        let failed = while_held(Duration::from_mins(1), is_held, || -> io::Result<()> {
            of_other += 1;
            Err(io::ErrorKind::StorageFull.into())
        });

        assert!(is_held(&given_up.unwrap_err()));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!((of_holder, of_other), (1, 1));
    }
}
