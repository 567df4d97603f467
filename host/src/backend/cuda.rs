//! Finds out whether there is a CUDA device by asking the driver itself, because the backend panics without one.

use std::{env, ffi::c_int, mem, path::PathBuf};

use libloading::{Library, Symbol};

/// Checks that the driver is present, works and has a device, and that kernels can be compiled for it.
pub fn probe() -> Result<(), String> {
    let mut toolkits: Vec<PathBuf> = ["/usr/local/cuda", "/opt/cuda", "/usr"].map(PathBuf::from).into();
    if let Some(given) = env::var_os("CUDA_PATH") {
        toolkits = vec![given.into()];
    }
    let compilers = ["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"];
    Machine { driver: "libcuda.so.1", compilers: &compilers, toolkits }.probe()
}

/// The places that are searched.
struct Machine<'a> {
    driver: &'a str,
    /// The library that compiles kernels, which the backend loads when it first needs one.
    compilers: &'a [&'a str],
    /// The folders in which the backend looks for the headers that its kernels include.
    toolkits: Vec<PathBuf>,
}

impl Machine<'_> {
    fn probe(&self) -> Result<(), String> {
        let driver = load(self.driver).ok_or_else(|| format!("there is no NVIDIA driver here ({})", self.driver))?;
        // SAFETY: the driver's interface, stable since CUDA 2.0: cuInit takes flags (0) and returns a status.
        let status = unsafe {
            let init: Symbol<unsafe extern "C" fn(c_int) -> c_int> =
                driver.get(b"cuInit").map_err(|e| e.to_string())?;
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
        // The driver stays loaded, because the backend needs it next.
        mem::forget(driver);
        if status != 0 || devices < 1 {
            return Err(format!("the NVIDIA driver finds no GPU (error {status}); nvidia-smi may say more"));
        }
        let compiler = self.compilers.iter().any(|name| load(name).is_some());
        if !compiler || !self.toolkits.iter().any(|folder| folder.join("include/cuda_fp16.h").exists()) {
            let lacks = if compiler { "its headers (set CUDA_PATH?)" } else { "its run-time compiler (libnvrtc.so)" };
            return Err(format!("there is a GPU, but of the CUDA toolkit not {lacks}: install the toolkit"));
        }
        Ok(())
    }
}

fn load(name: &str) -> Option<Library> {
    // SAFETY: loading NVIDIA's libraries runs no code that affects this program.
    unsafe { Library::new(name) }.ok()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use super::*;

    /// A stand-in driver that returns these values.
    fn driver(folder: &Path, name: &str, started: i32, devices: i32) -> String {
        let (source, library) = (folder.join(name).with_extension("c"), folder.join(name).with_extension("so"));
        let code = format!(
            "int cuInit(unsigned f) {{ return {started}; }} int cuDeviceGetCount(int *n) {{ *n = {devices}; return 0; }}"
        );
        fs::write(&source, code).unwrap();
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().unwrap();
        assert!(built.success());
        library.to_str().unwrap().into()
    }

    #[test]
    fn a_machine_is_asked_for_all_that_the_backend_needs_and_says_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let [dead, empty, good] = [("dead", 999, 0), ("empty", 0, 0), ("good", 0, 1)]
            .map(|(name, started, devices)| driver(folder, name, started, devices));
        fs::create_dir(folder.join("include")).unwrap();
        fs::write(folder.join("include/cuda_fp16.h"), "").unwrap();
        let (here, nowhere) = (vec![folder.to_path_buf()], vec![folder.join("none")]);

        for (driver, compiler, toolkits, lacks) in [
            ("libcuda-none.so.1", &*good, &here, "there is no NVIDIA driver here (libcuda-none.so.1)"),
            (&*dead, &*good, &here, "the NVIDIA driver does not start (cuInit: error 999)"),
            (&*empty, &*good, &here, "the NVIDIA driver finds no GPU"),
            (&*good, "libnvrtc-none.so", &here, "not its run-time compiler"),
            (&*good, &*good, &nowhere, "not its headers"),
        ] {
            let machine = Machine { driver, compilers: &[compiler], toolkits: toolkits.clone() };
            let said = machine.probe().unwrap_err();
            assert!(said.contains(lacks), "{said}");
        }
        Machine { driver: &good, compilers: &["libnvrtc-none.so", &good], toolkits: here }.probe().unwrap();
    }

    #[test]
    fn a_machine_without_a_driver_is_no_cuda_device() {
        if load("libcuda.so.1").is_none() {
            assert_eq!(probe(), Err("there is no NVIDIA driver here (libcuda.so.1)".into()));
        }
    }
}
