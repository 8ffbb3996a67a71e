//! The Unix half.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::fs::OFlags;

use super::{DiskSpace, OsError, patience};

/// Room on the file system of `path`; `None` when the system does not say.
pub fn disk_space(path: &Path) -> Option<DiskSpace> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(DiskSpace {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}

/// Whether `path` lies on a disk of this machine. NFS, SMB and FUSE are not: SQLite's WAL needs shared memory there.
///
/// What the system does not tell counts as local.
#[cfg(target_os = "linux")]
pub fn is_local(path: &Path) -> bool {
    rustix::fs::statfs(path).map_or(true, |stat| !is_remote(i128::from(stat.f_type)))
}

/// Whether a file system of this number lies on another machine.
#[cfg(target_os = "linux")]
fn is_remote(number: i128) -> bool {
    /// NFS, SMB 1, CIFS, SMB 2 and 3, FUSE (also OneDrive and cloud mounts), Ceph, AFS, Coda.
    const REMOTE: [u32; 8] = [
        0x6969,
        0x517B,
        0xFF53_4D42,
        0xFE53_4D42,
        0x6573_5546,
        0x00C3_6400,
        0x5346_414F,
        0x7375_7245,
    ];
    // The field's width differs by architecture; the numbers are 32 bits.
    u32::try_from(number & 0xFFFF_FFFF).is_ok_and(|magic| REMOTE.contains(&magic))
}

/// Whether `path` lies on a disk of this machine: this system does not say, so it counts as local.
#[cfg(not(target_os = "linux"))]
pub fn is_local(_path: &Path) -> bool {
    true
}

/// This machine's own id, which a copied disk image shares and a new installation does not; `None` when there is none.
pub fn machine_id() -> Option<String> {
    let text = ["/etc/machine-id", "/var/lib/dbus/machine-id"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())?;
    let id = text.trim();
    (!id.is_empty() && id != "uninitialized").then(|| id.to_owned())
}

/// Listens from now on; what it gives ends when this process is asked to stop: SIGTERM or Ctrl-C.
///
/// # Errors
///
/// When the signals cannot be listened to; the process then stops at once by the system's default.
///
/// # Panics
///
/// Outside of a runtime.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Lets Ctrl-C at the terminal reach this program and not the one it starts.
pub fn stand_apart(command: &mut Command) {
    command.process_group(0);
}

/// Asks a program that we started, and that has not been waited for, to stop: SIGTERM.
///
/// # Errors
///
/// The system refused.
pub fn ask_to_stop(child: &mut Child) -> io::Result<()> {
    let pid = rustix::process::Pid::from_child(child);
    Ok(rustix::process::kill_process(
        pid,
        rustix::process::Signal::TERM,
    )?)
}

pub(super) fn file_id(metadata: &Metadata) -> [u8; 16] {
    let both = (u128::from(metadata.dev()) << 64) | u128::from(metadata.ino());
    both.to_be_bytes()
}

pub(super) fn open_dropped(path: &Path) -> Result<File, OsError> {
    // NONBLOCK: opening a pipe must not wait for somebody to write into it.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    match opened {
        Ok(file) => Ok(file),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            Err(OsError::NotAFile {
                path: path.to_path_buf(),
                kind: "a link",
            })
        }
        Err(error) => Err(OsError::io("open", path)(error)),
    }
}

/// Makes a new file that only this account may read.
pub(super) fn create_secret(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Gives a new file to whom another one belongs: an administrator must not take a service's file from it.
pub(super) fn give_to_owner_of(other: &Metadata, file: &File) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) == (other.uid(), other.gid()) {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(other.uid()), Some(other.gid()))
}

/// Makes the folder and its missing parents, for this account only.
pub(super) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whether nobody but this account (and the administrator) can read `path`.
pub(super) fn is_private(path: &Path) -> io::Result<Option<bool>> {
    let mode = std::fs::metadata(path)?.permissions().mode();
    let of_others = mode & 0o077;
    Ok(Some(of_others == 0))
}

/// Makes renames in the folder survive a power cut.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Runs `action`; here nobody can hold a file against us.
pub(super) fn patiently<T>(action: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    patience::while_held(Duration::ZERO, |_| false, action)
}

/// Which account this process runs under, in words.
pub fn account() -> String {
    format!("user {}", rustix::process::geteuid().as_raw())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_told_from_a_disk_whatever_the_width_of_its_number() {
        let (nfs, smb2, fuse) = (0x6969, 0xFE53_4D42_u32, 0x6573_5546);
        let (ext4, xfs, btrfs, tmpfs) = (0xEF53, 0x5846_5342, 0x9123_683E_u32, 0x0102_1994);

        for share in [nfs, i128::from(smb2), i128::from(smb2.cast_signed()), fuse] {
            assert!(is_remote(share), "{share:x}");
        }
        for disk in [
            ext4,
            xfs,
            i128::from(btrfs),
            i128::from(btrfs.cast_signed()),
            tmpfs,
        ] {
            assert!(!is_remote(disk), "{disk:x}");
        }
        assert!(is_local(&std::env::temp_dir()));
    }
}
