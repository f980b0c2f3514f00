//! Tables for a terminal: aligned, no wider than a usual window.

/// Columns that a line may have.
pub(super) const WIDTH: usize = 100;
/// Between two columns.
const GAP: &str = "  ";

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
    /// Words that are of no use in part, as the last column: the line may be wider.
    Whole,
}

/// Aligns rows under their heads. The last column gets the room that is left, and is cut off where it is too
/// long.
pub(super) fn table(heads: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heads[column].0.chars().count()]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let is_cut = heads.last().is_some_and(|(_, align)| *align != Align::Whole);
    if let Some((last, others)) = widths.split_last_mut().filter(|_| is_cut) {
        let taken: usize = others.iter().map(|width| width + GAP.len()).sum();
        *last = (*last).min(WIDTH.saturating_sub(taken)).max(1);
    }
    let head: Vec<String> = heads.iter().map(|(head, _)| (*head).to_owned()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).zip(heads).map(|((cell, width), (_, align))| {
            let cell = cut(cell, *width);
            let space = " ".repeat(width - cell.chars().count());
            match align {
                Align::Left | Align::Whole => format!("{cell}{space}"),
                Align::Right => format!("{space}{cell}"),
            }
        });
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    std::iter::once(&head).chain(rows).map(line).collect::<Vec<_>>().join("\n")
}

/// Two columns, names and texts, cut off to fit.
pub(super) fn facts(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let line = |(name, text): &(&str, String)| {
        let room = WIDTH.saturating_sub(width + GAP.len());
        format!("{name:width$}{GAP}{}", cut(text, room))
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The beginning of a text, with a mark where something is missing, in one line.
fn cut(text: &str, width: usize) -> String {
    let text = text.replace(char::is_control, " ");
    if text.chars().count() <= width {
        return text;
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_the_last_is_cut_off() {
        let heads = [("NAME", Align::Left), ("QTY", Align::Right), ("WHY", Align::Left)];
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["sma", "7", "a\nb"]), row(["other", "-1250", &"x".repeat(200)])];
        let shown = table(&heads, &rows);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "NAME     QTY  WHY");
        assert_eq!(lines[1], "sma        7  a b");
        assert!(lines[2].starts_with("other  -1250  xxx") && lines[2].ends_with("x…"));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert_eq!(
            facts(&[("a", "1".into()), ("long", "y".repeat(200))]).lines().nth(1).map(|l| l.chars().count()),
            Some(WIDTH)
        );
    }
}
