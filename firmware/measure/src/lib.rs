//! What the measuring program and the host that starts it agree on: the jobs, and the machine of every target.
//!
//! The emulator's loader puts two words, the job's number and a count, at [`Machine::request`], and what the job works on at
//! [`Machine::data`]: a pack, or the image of a flash that holds one. The program prints its answer by semihosting and ends
//! the emulator.
#![no_std]

/// What the program is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Job {
    /// Prints the SHA-256 of the images of the seeds below the count. Data: a pack.
    Hash = 0,
    /// Prints what one image costs, see `images::cost`. Data: a pack.
    Image = 1,
    /// Prints `inputs outputs size ticks` of the single layers. No data.
    Layers = 2,
    /// Prints `address looks` of every place that the program counter was seen at during one image. Data: a pack.
    Profile = 3,
    /// Compares every kernel with its portable twin, the count being the rounds. No data.
    Twins = 4,
    /// Prints what a device takes for a request, see `request::cost`. Data: a flash of as many bytes as the count says.
    Request = 5,
}

impl Job {
    /// The job of a number.
    pub fn from_number(number: u32) -> Option<Self> {
        let all = [Self::Hash, Self::Image, Self::Layers, Self::Profile, Self::Twins, Self::Request];
        all.into_iter().find(|&job| job as u32 == number)
    }
}

/// An emulated machine that the program runs on. With `-icount shift=0` an instruction takes one nanosecond there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Address of the job's data.
    pub data: u32,
    /// Address of the request; the data end below it.
    pub request: u32,
    /// Ticks a second of the clock that the program reads.
    pub hz: u32,
    /// Ticks from one look of the profile to the next; nothing where the program has no profile.
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

    /// Instructions in a number of ticks.
    pub const fn instructions(&self, ticks: u64) -> u64 {
        ticks * 1_000_000_000 / self.hz as u64
    }
}
