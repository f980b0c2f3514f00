//! Which texts are symbols: they come from a command line and become names of folders.

use sandpit_types::Symbol;

/// The longest symbol: that of an option has 21 characters, stocks are far shorter.
const MAX_CHARS: usize = 21;

/// Reads a symbol of 1 to 21 out of `A-Z`, `0-9`, `.` and `-`, a letter or digit first, such as `BRK.B`.
/// Nothing of that form can lead out of the folder it names.
///
/// # Errors
/// When the text has another form; the message says which it should have.
pub fn parse_symbol(text: &str) -> Result<Symbol, String> {
    let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    let fits = (1..=MAX_CHARS).contains(&text.len())
        && text.starts_with(is_plain)
        && text.chars().all(|c| is_plain(c) || c == '.' || c == '-');
    fits.then(|| Symbol::new(text)).ok_or_else(|| {
        format!(
            "{text:?} is not a symbol: 1 to {MAX_CHARS} of A-Z, 0-9, '.' and '-', a letter or digit first"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_symbols_become_folders() {
        for good in ["A", "SPY", "BRK.B", "BF-B", "BAC.PRL", "AAPL240119C00100000"] {
            assert_eq!(parse_symbol(good).expect(good).as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "../X",
            "A/B",
            "/A",
            "A\\B",
            "spy",
            " SPY",
            "SPY ",
            "-A",
            ".A",
            "A\0",
            "*",
            "É",
            "BTC/USD",
            "AAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(parse_symbol(bad).is_err(), "{bad:?}");
        }
    }
}
