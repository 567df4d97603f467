//! The link where it breaks: simulated lines and flash that fail in every way, real ports with faults on them, programs
//! killed in the middle, and what a new user meets.

#[cfg(unix)]
mod live;
#[cfg(unix)]
mod new_user;
#[cfg(unix)]
mod ports;
mod simulated;
