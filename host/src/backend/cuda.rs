//! Is there a CUDA device? Asked of the driver itself, as the backend panics where there is none.

use std::ffi::c_int;

use libloading::{Library, Symbol};

const DRIVERS: [&str; 1] = ["libcuda.so.1"];
/// The compiler of kernels, which the backend loads when it first needs one.
const COMPILERS: [&str; 3] = ["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"];

/// Whether the driver is there, works, and has a device, and whether kernels can be compiled for it.
pub fn probe() -> Result<(), String> {
    let driver = any(&DRIVERS).ok_or("there is no NVIDIA driver here (libcuda.so.1)")?;
    // SAFETY: the driver's interface, stable since CUDA 2.0: cuInit takes flags (0) and returns a status.
    let status = unsafe {
        let init: Symbol<unsafe extern "C" fn(c_int) -> c_int> = driver.get(b"cuInit").map_err(|e| e.to_string())?;
        init(0)
    };
    if status != 0 {
        return Err(format!("the NVIDIA driver does not start (cuInit: error {status}); nvidia-smi may say more"));
    }
    let mut devices: c_int = 0;
    // SAFETY: as above; cuDeviceGetCount writes one int through the pointer, which lives until after the call.
    let status = unsafe {
        let count: Symbol<unsafe extern "C" fn(*mut c_int) -> c_int> =
            driver.get(b"cuDeviceGetCount").map_err(|e| e.to_string())?;
        count(&mut devices)
    };
    if status != 0 || devices < 1 {
        return Err(format!("the NVIDIA driver finds no GPU (error {status}); nvidia-smi may say more"));
    }
    match any(&COMPILERS) {
        Some(_) => Ok(()),
        None => Err("there is a GPU, but not CUDA's run-time compiler (libnvrtc.so): install the CUDA toolkit".into()),
    }
}

fn any(names: &[&str]) -> Option<Library> {
    names.iter().find_map(|name| {
        // SAFETY: NVIDIA's libraries run nothing of note when they are loaded.
        unsafe { Library::new(name) }.ok()
    })
}
