//! The errors of serial ports, in words that say what to do.

use std::io;

use thiserror::Error;

use crate::error::LinkError;
use crate::holder::Holder;

/// Talking to a board over a serial port failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PortError {
    /// There is no such port.
    #[error("{port}: no such port. {}", found(.others))]
    NoSuchPort {
        /// The name of the port that was asked for.
        port: String,
        /// The ports that there are.
        others: Vec<String>,
    },
    /// The user may not open it.
    #[error("{port}: permission denied. {}", join(.group.as_deref()))]
    Permission {
        /// The port.
        port: String,
        /// The group that may.
        group: Option<String>,
    },
    /// Another program has it open.
    #[error("{port}: {}", close(.port, .holder.as_ref()))]
    Busy {
        /// The port.
        port: String,
        /// The program, where the system tells.
        holder: Option<Holder>,
    },
    /// Opening failed in another way.
    #[error("{port}: cannot open: {cause}")]
    Open {
        /// The port.
        port: String,
        /// Why.
        cause: serialport::Error,
    },
    /// The line broke. During an upload the board keeps its old model, unless only the answer to the end of it got
    /// lost.
    #[error(
        "{port}: the line broke ({cause}). Unplugged or reset? The board has its old model, or the new one if that was \
         complete; plug it in and run the command again, and it goes on where it was"
    )]
    Lost {
        /// The port.
        port: String,
        /// Why.
        cause: io::Error,
    },
    /// The board did not do what it was asked for.
    #[error("{}{cause}", if .cause.is_of_a_port() { format!("{port}: ") } else { String::new() })]
    Link {
        /// The port.
        port: String,
        /// Why.
        cause: LinkError,
    },
}

impl PortError {
    /// The error of the protocol, where it is one.
    pub fn link(&self) -> Option<&LinkError> {
        if let Self::Link { cause, .. } = self { Some(cause) } else { None }
    }
}

fn join(group: Option<&str>) -> String {
    match group {
        None | Some("root") => {
            "Its group is root's alone: a udev rule gives serial ports to the group dialout, or run \
                                this as root"
                .to_owned()
        }
        Some(group) => format!(
            "The port belongs to the group {group}: `sudo usermod -aG {group} $USER`, then log out and in again"
        ),
    }
}

fn close(port: &str, holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) if holder.name == "ModemManager" => format!(
            "{holder} has this port open, to see whether it is a modem. Try again in half a minute, or keep it away for \
             good: `sudo systemctl disable --now ModemManager`"
        ),
        Some(holder) => format!("{holder} has this port open. Close it and try again"),
        None => format!(
            "another program has this port open (`sudo fuser -v {port}` tells which). Close it (a serial monitor? \
             ModemManager?) and try again"
        ),
    }
}

fn found(others: &[String]) -> String {
    match others {
        [] => "No serial port was found at all: is the board plugged in, with a cable that carries data? \
               (`nickeldime emulate` makes a board without a board)"
            .to_owned(),
        others => format!("There are: {}", others.join(", ")),
    }
}
