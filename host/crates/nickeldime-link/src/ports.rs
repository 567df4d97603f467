//! The serial ports of this system, and the boards that USB devices at them say they are.

use serialport::{SerialPortInfo, SerialPortType};

/// Names of the serial ports of this system.
pub fn names() -> Vec<String> {
    serialport::available_ports().unwrap_or_default().into_iter().map(|port| port.port_name).collect()
}

/// The board that the USB device at a port says it is, in its product's name; UARTs say nothing.
pub fn usb_board(port: &str) -> Option<String> {
    usb_boards().find(|(name, _)| name == port).map(|(_, board)| board)
}

/// Ports whose USB device says that it is this board.
pub fn running(board: &str) -> Vec<String> {
    usb_boards().filter(|(_, name)| name == board).map(|(port, _)| port).collect()
}

/// Ports of USB devices that say that they are a board, and which.
fn usb_boards() -> impl Iterator<Item = (String, String)> {
    let board = |port: SerialPortInfo| match port.port_type {
        SerialPortType::UsbPort(usb) => {
            usb.product?.strip_prefix("nickeldime ").map(|board| (port.port_name, board.to_owned()))
        }
        _ => None,
    };
    serialport::available_ports().unwrap_or_default().into_iter().filter_map(board)
}
