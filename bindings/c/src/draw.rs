//! One image, row by row.

use core::ffi::{c_int, c_void};
use core::ops::ControlFlow;
use core::slice;

use nickeldime_core::generator::generate;

use crate::model::{Model, pack_of};
use crate::sample::Sample;
use crate::status::Status;

/// Takes row `y` of an image: `count` bytes, `channels` for each pixel, from the left. Rows come from the top, y = 0. The
/// bytes are valid during the call. 0 continues, everything else stops the image.
pub type Row = Option<unsafe extern "C" fn(user: *mut c_void, y: usize, pixels: *const u8, count: usize) -> c_int>;

/// Draws one image and gives its rows to `row`, with `user` passed through. The result depends on the pack and the sample
/// alone, on every processor, whatever the workspace held before.
///
/// # Safety
/// `model` is null, all zero, or was passed to `nd_open`. `sample` is null or readable, and so are its `values`. `workspace`
/// is null or has `workspace_bytes` writable bytes, used by nobody else during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nd_draw(
    model: *const Model,
    sample: *const Sample,
    workspace: *mut c_void,
    workspace_bytes: usize,
    row: Row,
    user: *mut c_void,
) -> Status {
    let workspace: *mut i32 = workspace.cast();
    // SAFETY: the caller's promise.
    let (Some(pack), Some(row)) = (unsafe { pack_of(model) }, row) else { return Status::Argument };
    let usable = !workspace.is_null() && workspace.is_aligned() && isize::try_from(workspace_bytes).is_ok();
    if !usable || sample.is_null() || !sample.is_aligned() {
        return Status::Argument;
    }
    // SAFETY: the caller's promise.
    let sample = match unsafe { (*sample).checked(pack) } {
        Ok(sample) => sample,
        Err(status) => return status,
    };
    // SAFETY: the caller's promise; the generator reads no element that it has not written.
    let workspace = unsafe { slice::from_raw_parts_mut(workspace, workspace_bytes / 4) };
    let drawn = generate(pack, &sample, workspace, &mut |y, pixels| {
        // SAFETY: the caller's function, with bytes that live during the call.
        match unsafe { row(user, y, pixels.as_ptr(), pixels.len()) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    });
    drawn.map_or_else(Status::from, |()| Status::Ok)
}
