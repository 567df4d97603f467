//! The interface between the measuring program and the host that starts it: the jobs, and the machine of every target.
//!
//! The emulator's loader puts two words, the job's number and a count, at [`Machine::request`], and the job's data at
//! [`Machine::data`]: a pack, or the image of a flash that holds one. The program prints its answer by semihosting and
//! ends the emulator.
#![no_std]

/// The job that the program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Job {
    /// Prints the SHA-256 of the images of the seeds below the count. Data: a pack.
    Hash = 0,
    /// Prints the cost of one image, see `images::cost`. Data: a pack.
    Image = 1,
    /// Prints `inputs outputs size ticks` of the single layers. No data.
    Layers = 2,
    /// Prints `address looks` for every address at which the program counter was seen during one image. Data: a pack.
    Profile = 3,
    /// Compares every kernel with its portable twin; the count is the number of rounds. No data.
    Twins = 4,
    /// Prints the cost of a request to a device, see `request::cost`. Data: a flash whose length in bytes is the count.
    Request = 5,
}

impl Job {
    /// The job with this number; `None` if there is none.
    pub fn from_number(number: u32) -> Option<Self> {
        let all = [Self::Hash, Self::Image, Self::Layers, Self::Profile, Self::Twins, Self::Request];
        all.into_iter().find(|&job| job as u32 == number)
    }
}

/// An emulated machine that the program runs on. With `-icount shift=0`, an instruction takes one nanosecond there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Address of the job's data.
    pub data: u32,
    /// Address of the request, which lies after the data.
    pub request: u32,
    /// Ticks per second of the clock that the program reads.
    pub hz: u32,
    /// Ticks between two samples of the profile; `None` if the program has no profile.
    pub profile: Option<u32>,
}

impl Machine {
    /// QEMU's `mps2-an386`, for programs of `thumbv7em` and `thumbv6m`.
    pub const AN386: Self = Self { data: 0x2100_0000, request: 0x21F0_0000, hz: 25_000_000, profile: Some(97) };
    /// QEMU's `mps3-an547`, for programs of `thumbv8m.main` with Helium.
    pub const AN547: Self = Self { data: 0x7000_0000, request: 0x71F0_0000, hz: 32_000_000, profile: Some(97) };
    /// QEMU's `virt`, for programs of `riscv32imac`.
    pub const VIRT: Self = Self { data: 0x8100_0000, request: 0x82F0_0000, hz: 1_000_000_000, profile: None };

    /// The machine of this program's target.
    #[cfg(target_os = "none")]
    pub const HERE: Self = if cfg!(target_arch = "riscv32") {
        Self::VIRT
    } else if cfg!(armv8m) {
        Self::AN547
    } else {
        Self::AN386
    };

    /// Converts ticks to instructions.
    pub const fn instructions(&self, ticks: u64) -> u64 {
        ticks * 1_000_000_000 / self.hz as u64
    }
}
