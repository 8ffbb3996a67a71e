//! The door to SQLite: its calls, made safe, on the disks of [`super`].
#![expect(
    unsafe_code,
    reason = "SQLite hands raw pointers to a VFS: nothing else does what a disk does"
)]

mod file;

use std::ffi::{CStr, c_char, c_int};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rusqlite::ffi as sqlite;

use super::image::{Inode, Op};
use super::locks::Handle;
use super::{Call, NAME, State, find, lock};

/// The length of the longest path.
const PATH_BYTES: c_int = 1_024;

/// An open file, as SQLite keeps it: its own head, then ours.
#[repr(C)]
struct File {
    head: sqlite::sqlite3_file,
    open: *mut Open,
}

/// What we know of an open file.
struct Open {
    state: Arc<Mutex<State>>,
    inode: Inode,
    name: String,
    handle: Handle,
    goes_on_close: bool,
}

/// The system's VFS, for the files that are its.
struct System(*mut sqlite::sqlite3_vfs);

// SAFETY: SQLite's own VFS lives for ever and is made for all threads.
unsafe impl Send for System {}
// SAFETY: as above.
unsafe impl Sync for System {}

static SYSTEM: OnceLock<System> = OnceLock::new();
static HANDLES: AtomicU64 = AtomicU64::new(1);

/// Makes the VFS known to SQLite, once.
pub(super) fn register() {
    SYSTEM.get_or_init(|| {
        // SAFETY: the default VFS is there for the life of the process; ours, and its name, are leaked and so are too.
        unsafe {
            let system = sqlite::sqlite3_vfs_find(ptr::null());
            let mut own = *system;
            let name = std::ffi::CString::new(NAME).expect("a name");
            own.iVersion = 2;
            own.szOsFile = own
                .szOsFile
                .max(c_int::try_from(size_of::<File>()).expect("a small file"));
            own.mxPathname = PATH_BYTES;
            own.pNext = ptr::null_mut();
            own.zName = name.into_raw();
            own.xOpen = Some(open);
            own.xDelete = Some(delete);
            own.xAccess = Some(access);
            own.xFullPathname = Some(full_path);
            let own = Box::into_raw(Box::new(own));
            assert_eq!(sqlite::sqlite3_vfs_register(own, 0), sqlite::SQLITE_OK);
            System(system)
        }
    });
}

fn system() -> *mut sqlite::sqlite3_vfs {
    SYSTEM.get().expect("it is registered").0
}

/// The text of a name that SQLite gives.
///
/// # Safety
///
/// It is null or ends with a zero.
unsafe fn text<'a>(name: *const c_char) -> Option<&'a str> {
    if name.is_null() {
        return None;
    }
    // SAFETY: what this function asks of its caller.
    unsafe { CStr::from_ptr(name) }.to_str().ok()
}

/// Our half of an open file.
///
/// # Safety
///
/// `file` was opened by [`open`] on one of our disks and not closed since.
unsafe fn own<'a>(file: *mut sqlite::sqlite3_file) -> &'a Open {
    // SAFETY: what this function asks of its caller.
    unsafe { &*(*file.cast::<File>()).open }
}

unsafe extern "C" fn open(
    _: *mut sqlite::sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's names end with a zero.
    let path = unsafe { text(name) };
    let disk = path.filter(|path| !Path::new(path).exists()).and_then(find);
    let Some((state, name_here)) = disk else {
        // SAFETY: the system's VFS is asked as SQLite asks us, with room for its file.
        return unsafe { ((*system()).xOpen.expect("it opens"))(system(), name, file, flags, out) };
    };
    // SAFETY: SQLite gives as much room as we said.
    unsafe { (*file).pMethods = ptr::null() };
    let mut locked = lock(&state);
    if locked.meet(Call::Open).is_some() {
        return sqlite::SQLITE_CANTOPEN;
    }
    let inode = match locked.files.find(&name_here) {
        Some(inode) => inode,
        None if flags & sqlite::SQLITE_OPEN_CREATE == 0 => return sqlite::SQLITE_CANTOPEN,
        None => {
            let file = locked.files.next();
            let name = name_here.clone();
            locked.note(Op::Create { name, file });
            file
        }
    };
    locked.handles += 1;
    drop(locked);
    let open = Open {
        state,
        inode,
        name: name_here,
        handle: HANDLES.fetch_add(1, Ordering::Relaxed),
        goes_on_close: flags & sqlite::SQLITE_OPEN_DELETEONCLOSE != 0,
    };
    // SAFETY: as above; `out` is null or may be written.
    unsafe {
        (*file.cast::<File>()).open = Box::into_raw(Box::new(open));
        (*file).pMethods = &raw const file::METHODS;
        if !out.is_null() {
            *out = flags;
        }
    }
    sqlite::SQLITE_OK
}

unsafe extern "C" fn delete(
    _: *mut sqlite::sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    // SAFETY: SQLite's names end with a zero.
    let disk = unsafe { text(name) }.and_then(find);
    if let Some((state, name)) = disk {
        let mut state = lock(&state);
        if state.files.find(&name).is_some() {
            if state.meet(Call::Delete).is_some() {
                return sqlite::SQLITE_IOERR_DELETE;
            }
            state.note(Op::Delete { name });
            return sqlite::SQLITE_OK;
        }
    }
    // SAFETY: the system's VFS is asked as SQLite asks us.
    unsafe { ((*system()).xDelete.expect("it deletes"))(system(), name, sync_folder) }
}

unsafe extern "C" fn access(
    _: *mut sqlite::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's names end with a zero.
    let disk = unsafe { text(name) }.and_then(find);
    if let Some((state, name)) = disk {
        let mut state = lock(&state);
        if let Some(inode) = state.files.find(&name) {
            if state.meet(Call::Access).is_some() {
                return sqlite::SQLITE_IOERR_ACCESS;
            }
            // As the system has it: an empty file is none, where somebody only asks whether it is there.
            let is_there =
                flags != sqlite::SQLITE_ACCESS_EXISTS || !state.files.bytes(inode).is_empty();
            // SAFETY: SQLite gives a place for the answer.
            unsafe { *out = c_int::from(is_there) };
            return sqlite::SQLITE_OK;
        }
    }
    // SAFETY: the system's VFS is asked as SQLite asks us.
    unsafe { ((*system()).xAccess.expect("it looks"))(system(), name, flags, out) }
}

unsafe extern "C" fn full_path(
    _: *mut sqlite::sqlite3_vfs,
    name: *const c_char,
    length: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite's names end with a zero.
    let Some(path) = (unsafe { text(name) }) else {
        return sqlite::SQLITE_CANTOPEN;
    };
    if find(path).is_none() {
        // SAFETY: the system's VFS is asked as SQLite asks us.
        return unsafe {
            ((*system()).xFullPathname.expect("it knows"))(system(), name, length, out)
        };
    }
    if path.len() >= usize::try_from(length).unwrap_or(0) {
        return sqlite::SQLITE_CANTOPEN;
    }
    // SAFETY: `out` has room for `length` bytes, and the name with its zero is shorter.
    unsafe { ptr::copy_nonoverlapping(name, out, path.len() + 1) };
    sqlite::SQLITE_OK
}
