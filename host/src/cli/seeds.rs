//! Lists of seeds, as users write them.

use std::str::FromStr;

/// The largest number of seeds in one list. More are surely a typing error.
pub const MOST: u64 = 1_000_000;

/// A list of seeds. The official tools' spelling (`1,3,5-8`) and Rust's ranges (`5..8`) can be mixed; every range has
/// both of its ends.
#[derive(Debug, Clone)]
pub struct Seeds(pub Vec<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut seeds = Vec::new();
        for item in text.split(',') {
            let (first, last) = range(item)?;
            let count = last.checked_sub(first);
            let count = count.ok_or_else(|| format!("{first}..{last}: the first seed is above the last"))?;
            if count >= MOST - seeds.len() as u64 {
                return Err(format!("more than {MOST} seeds"));
            }
            seeds.extend(first..=last);
        }
        Ok(Self(seeds))
    }
}

/// Both ends of an item of a list: a number, `A-B`, `A..B` or `A..=B`.
fn range(item: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("{:?} is not a seed: write 7, a list like 1,3,5-8, or a range like 0..15", item.trim());
    let number = |s: &str| s.trim().parse::<u64>().map_err(|_| wrong());
    let ends = item.split_once("..").map(|(a, b)| (a, b.trim_start_matches('='))).or_else(|| item.split_once('-'));
    match ends {
        Some((first, last)) => Ok((number(first)?, number(last)?)),
        None => number(item).map(|seed| (seed, seed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_seeds_has_both_ends() {
        let seeds = |text: &str| text.parse::<Seeds>().unwrap().0;
        assert_eq!(seeds("0..15").len(), 16);
        assert_eq!(seeds("7"), [7]);
        assert_eq!(seeds("3, 1,2"), [3, 1, 2]);
        assert_eq!(seeds("18446744073709551615"), [u64::MAX]);
        assert_eq!(seeds("600-603"), [600, 601, 602, 603]);
        assert_eq!(seeds("0,1,4-6"), [0, 1, 4, 5, 6]);
        assert_eq!(seeds("85,600..=602, 7 - 8"), [85, 600, 601, 602, 7, 8]);
    }

    #[test]
    fn what_is_not_a_seed_is_refused() {
        for text in ["", "a", "5..2", "6-5", "0..", "-1", "1,,2", "1-2-3", "0..99999999999", "0..600000,0..600000"] {
            assert!(text.parse::<Seeds>().is_err(), "{text}");
        }
        assert!("1;2".parse::<Seeds>().unwrap_err().contains("1,3,5-8"));
    }
}
