pub use super::plain::spread_pair;
