//! What SQLite does with an open file.
#![expect(
    unsafe_code,
    reason = "SQLite hands raw pointers to a VFS: nothing else does what a disk does"
)]

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{Ordering, fence};

use rusqlite::ffi as sqlite;

use super::{File, own};
use crate::vfs::image::Op;
use crate::vfs::locks::REGION_BYTES;
use crate::vfs::{Call, Fault, lock};

/// The calls of a file.
pub(super) static METHODS: sqlite::sqlite3_io_methods = sqlite::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(raise),
    xUnlock: Some(lower),
    xCheckReservedLock: Some(is_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn close(file: *mut sqlite::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes once what we opened.
    let open = unsafe { Box::from_raw((*file.cast::<File>()).open) };
    let mut state = lock(&open.state);
    if let Some(locks) = state.locks.get_mut(&open.inode) {
        locks.lower(open.handle, sqlite::SQLITE_LOCK_NONE);
        locks.leave_index(open.handle);
    }
    if open.goes_on_close && state.files.find(&open.name) == Some(open.inode) {
        let name = open.name.clone();
        state.note(Op::Delete { name });
    }
    state.handles -= 1;
    sqlite::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut sqlite::sqlite3_file,
    to: *mut c_void,
    length: c_int,
    at: i64,
) -> c_int {
    // SAFETY: SQLite reads from what we opened, into as much room as it names.
    let (open, to) = unsafe {
        let length = usize::try_from(length).unwrap_or(0);
        (
            own(file),
            std::slice::from_raw_parts_mut(to.cast::<u8>(), length),
        )
    };
    let mut state = lock(&open.state);
    if state.meet(Call::Read).is_some() {
        return sqlite::SQLITE_IOERR_READ;
    }
    let bytes = state.files.bytes(open.inode);
    let from = usize::try_from(at).unwrap_or(0).min(bytes.len());
    let here = &bytes[from..bytes.len().min(from + to.len())];
    to[..here.len()].copy_from_slice(here);
    to[here.len()..].fill(0);
    if here.len() < to.len() {
        return sqlite::SQLITE_IOERR_SHORT_READ;
    }
    sqlite::SQLITE_OK
}

unsafe extern "C" fn write(
    file: *mut sqlite::sqlite3_file,
    from: *const c_void,
    length: c_int,
    at: i64,
) -> c_int {
    // SAFETY: SQLite writes to what we opened, out of as many bytes as it names.
    let (open, mut bytes) = unsafe {
        let length = usize::try_from(length).unwrap_or(0);
        (
            own(file),
            std::slice::from_raw_parts(from.cast::<u8>(), length),
        )
    };
    let mut state = lock(&open.state);
    let met = state.meet(Call::Write);
    if met == Some(Fault::Half) {
        bytes = &bytes[..bytes.len() / 2];
    }
    if matches!(met, None | Some(Fault::Half)) {
        state.note(Op::Write {
            file: open.inode,
            at: at.cast_unsigned(),
            bytes: bytes.into(),
        });
    }
    match met {
        None => sqlite::SQLITE_OK,
        Some(Fault::Full) => sqlite::SQLITE_FULL,
        Some(Fault::Error | Fault::Half) => sqlite::SQLITE_IOERR_WRITE,
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite::sqlite3_file, length: i64) -> c_int {
    // SAFETY: SQLite shortens what we opened.
    let open = unsafe { own(file) };
    let mut state = lock(&open.state);
    if state.meet(Call::Truncate).is_some() {
        return sqlite::SQLITE_IOERR_TRUNCATE;
    }
    state.note(Op::Truncate {
        file: open.inode,
        length: length.cast_unsigned(),
    });
    sqlite::SQLITE_OK
}

unsafe extern "C" fn sync(file: *mut sqlite::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: SQLite flushes what we opened.
    let open = unsafe { own(file) };
    let mut state = lock(&open.state);
    let met = state.meet(Call::Sync);
    state.note(match met {
        None => Op::Sync { file: open.inode },
        Some(fault) => Op::FailedSync {
            file: open.inode,
            forgets: fault == Fault::Half,
        },
    });
    match met {
        None => sqlite::SQLITE_OK,
        Some(_) => sqlite::SQLITE_IOERR_FSYNC,
    }
}

unsafe extern "C" fn size(file: *mut sqlite::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: SQLite measures what we opened, and gives a place for the answer.
    let open = unsafe { own(file) };
    let mut state = lock(&open.state);
    if state.meet(Call::Size).is_some() {
        return sqlite::SQLITE_IOERR_FSTAT;
    }
    let length = i64::try_from(state.files.bytes(open.inode).len()).expect("a small file");
    // SAFETY: as above.
    unsafe { *out = length };
    sqlite::SQLITE_OK
}

unsafe extern "C" fn raise(file: *mut sqlite::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite locks what we opened.
    let open = unsafe { own(file) };
    let mut state = lock(&open.state);
    if state.meet(Call::Lock).is_some() {
        return sqlite::SQLITE_IOERR_LOCK;
    }
    let locks = state.locks.entry(open.inode).or_default();
    match locks.raise(open.handle, level) {
        Ok(()) => sqlite::SQLITE_OK,
        Err(_) => sqlite::SQLITE_BUSY,
    }
}

unsafe extern "C" fn lower(file: *mut sqlite::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite unlocks what we opened.
    let open = unsafe { own(file) };
    let mut state = lock(&open.state);
    let locks = state.locks.entry(open.inode).or_default();
    locks.lower(open.handle, level);
    sqlite::SQLITE_OK
}

unsafe extern "C" fn is_reserved(file: *mut sqlite::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: SQLite asks of what we opened, and gives a place for the answer.
    let open = unsafe { own(file) };
    let mut state = lock(&open.state);
    let locks = state.locks.entry(open.inode).or_default();
    // SAFETY: as above.
    unsafe { *out = c_int::from(locks.is_reserved()) };
    sqlite::SQLITE_OK
}

unsafe extern "C" fn control(_: *mut sqlite::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    sqlite::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector(_: *mut sqlite::sqlite3_file) -> c_int {
    4_096
}

unsafe extern "C" fn characteristics(_: *mut sqlite::sqlite3_file) -> c_int {
    // What SQLite's own VFS says of any disk.
    sqlite::SQLITE_IOCAP_POWERSAFE_OVERWRITE | sqlite::SQLITE_IOCAP_SUBPAGE_READ
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite::sqlite3_file,
    number: c_int,
    bytes: c_int,
    make: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: SQLite maps the index of what we opened, and gives a place for the answer.
    let open = unsafe { own(file) };
    assert_eq!(usize::try_from(bytes), Ok(REGION_BYTES));
    let mut state = lock(&open.state);
    let met = state.meet(Call::ShmMap);
    let locks = state.locks.entry(open.inode).or_default();
    let number = usize::try_from(number).unwrap_or(0);
    let region = met
        .is_none()
        .then(|| locks.region(open.handle, number, make != 0));
    // SAFETY: as above.
    unsafe {
        *out = region
            .flatten()
            .map_or(ptr::null_mut(), <*mut u64>::cast::<c_void>);
    }
    match met {
        None => sqlite::SQLITE_OK,
        Some(_) => sqlite::SQLITE_IOERR_SHMMAP,
    }
}

unsafe extern "C" fn shm_lock(
    file: *mut sqlite::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: SQLite locks the index of what we opened.
    let open = unsafe { own(file) };
    let mut state = lock(&open.state);
    // Giving a lock back cannot fail.
    if flags & sqlite::SQLITE_SHM_LOCK != 0 && state.meet(Call::ShmLock).is_some() {
        return sqlite::SQLITE_IOERR_SHMLOCK;
    }
    let range = (
        usize::try_from(first).unwrap_or(0),
        usize::try_from(count).unwrap_or(0),
    );
    let locks = state.locks.entry(open.inode).or_default();
    match locks.index(open.handle, range, flags) {
        Ok(()) => sqlite::SQLITE_OK,
        Err(_) => sqlite::SQLITE_BUSY,
    }
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite::sqlite3_file) {
    // SAFETY: SQLite asks of what we opened.
    let open = unsafe { own(file) };
    drop(lock(&open.state));
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: SQLite leaves the index of what we opened.
    let open = unsafe { own(file) };
    let mut state = lock(&open.state);
    if let Some(locks) = state.locks.get_mut(&open.inode) {
        locks.leave_index(open.handle);
    }
    sqlite::SQLITE_OK
}
