//! How values and errors cross to C++: everything is handed to a callback, so that neither side frees what the other
//! allocated, and a panic becomes an error.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{catch_unwind, set_hook, AssertUnwindSafe};
use std::sync::Once;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// WsSink of text.h. The callback must not unwind.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sink {
    context: *mut c_void,
    take: extern "C" fn(*mut c_void, *const c_void, usize),
}

impl Sink {
    pub fn bytes(&self, bytes: &[u8]) {
        (self.take)(self.context, bytes.as_ptr().cast(), bytes.len());
    }

    pub fn ids(&self, ids: &[u32]) {
        (self.take)(self.context, ids.as_ptr().cast(), ids.len());
    }
}

/// WsBytes of text.h.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    data: *const u8,
    count: usize,
}

impl Bytes {
    pub const EMPTY: Bytes = Bytes { data: std::ptr::null(), count: 0 };

    /// # Safety
    /// The caller's bytes must outlive the result.
    pub unsafe fn slice<'a>(self) -> &'a [u8] {
        if self.count == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.data, self.count)
    }

    /// # Safety
    /// As `slice`.
    pub unsafe fn text<'a>(self) -> Result<&'a str, Failure> {
        Ok(std::str::from_utf8(self.slice())?)
    }
}

fn panic_text(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast_ref::<&str>() {
        Some(text) => text.to_string(),
        None => panic.downcast_ref::<String>().cloned().unwrap_or_default(),
    }
}

/// Runs one call of the interface. False: it failed, and `error` was told why.
pub fn guarded(error: Sink, call: impl FnOnce() -> Result<(), Failure>) -> bool {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| set_hook(Box::new(|_| {})));
    let why = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return true,
        Ok(Err(failure)) => failure.to_string(),
        Err(panic) => panic_text(panic),
    };
    error.bytes(why.as_bytes());
    false
}
