//! How the model looks: a header, five panes one above the other, a line for words and keys, and whatever is
//! asked before it all.

mod parts;

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{
        Block, Cell, Clear, Paragraph, Row as TableRow, StatefulWidget, Table, TableState, Widget, Wrap,
    },
};

pub(crate) use self::parts::wanted;
use self::parts::{bottom, heights, top_lines};
use crate::{
    Pane, Top,
    figures::{Row, Tone},
};

/// Lines above the panes.
const HEAD: u16 = 2;
/// Lines below them.
const FOOT: u16 = 1;
/// Columns that a cell may take which is not the last of its row.
const MAX_CELL: usize = 34;
/// The same of a picture that is no screen.
const MAX_TEXT: usize = 1_000;
/// Columns between two cells.
const GAP: u16 = 2;
/// Columns that a picture has at least.
const LEAST_WIDE: u16 = 100;

/// What the keys do.
const HELP: [&str; 12] = [
    "1-5, Tab     another pane",
    "arrows       another row; PgUp, PgDn, Home, End",
    "c            cancel the order that is marked",
    "p            pause the strategy that is marked, or resume it",
    "f            freeze: nothing is sent but what reduces",
    "K            how the emergency stop is pulled",
    "q, Ctrl-C    leave; the host goes on",
    "",
    "A freeze ends by:    sandpit unfreeze --reason TEXT",
    "The emergency stop:  sandpit-watchdog kill --reason TEXT",
    "",
    "any key goes back",
];

/// How it may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether there may be colours.
    pub has_colour: bool,
}

impl Look {
    fn tone(self, tone: Tone) -> Style {
        let coloured = |colour| if self.has_colour { Style::new().fg(colour) } else { Style::new() };
        match tone {
            Tone::Plain => Style::new(),
            Tone::Notable => coloured(Color::Yellow),
            Tone::Bad => coloured(Color::Red).add_modifier(Modifier::BOLD),
        }
    }
}

/// Draws all of it as it is at `now_ms`, a moment of the clock that [`Top::on`] is told.
pub fn draw(top: &Top, look: Look, now_ms: u64, area: Rect, buffer: &mut Buffer) {
    draw_cut(top, look, now_ms, MAX_CELL, area, buffer);
}

/// The same with cells of at most so many columns.
fn draw_cut(top: &Top, look: Look, now_ms: u64, most: usize, area: Rect, buffer: &mut Buffer) {
    for (at, (text, tone)) in top_lines(top, now_ms, area.width).into_iter().enumerate() {
        let row = area.y + u16::try_from(at).unwrap_or(u16::MAX);
        if row < area.bottom() {
            buffer.set_stringn(area.x, row, text, area.width.into(), look.tone(tone));
        }
    }
    let room = area.height.saturating_sub(HEAD + FOOT);
    let heights = heights(room, wanted(top), top.focus());
    let mut row = area.y + HEAD;
    for pane in Pane::ALL {
        let height = heights[pane.at()];
        if height > 0 {
            draw_pane(top, pane, look, most, Rect { y: row, height, ..area }, buffer);
        }
        row += height;
    }
    if area.height > HEAD + FOOT {
        let (text, tone) = bottom(top);
        buffer.set_stringn(area.x, area.bottom() - 1, text, area.width.into(), look.tone(tone));
    }
    if let Some(prompt) = top.prompt() {
        draw_box(&prompt.title(), &prompt.lines(), look, area, buffer);
    } else if top.is_help() {
        draw_box("Keys", &HELP.map(str::to_owned), look, area, buffer);
    }
}

fn draw_pane(top: &Top, pane: Pane, look: Look, most: usize, area: Rect, buffer: &mut Buffer) {
    let rows = top.rows(pane);
    let is_focus = top.focus() == pane;
    let title = format!(" {} {} ({}) ", pane.at() + 1, pane.title(), rows.len());
    let rule = "─".repeat(usize::from(area.width));
    let style = Style::new().add_modifier(if is_focus { Modifier::BOLD } else { Modifier::DIM });
    buffer.set_stringn(area.x, area.y, rule, area.width.into(), style);
    let title_style = if is_focus { style.add_modifier(Modifier::REVERSED) } else { style };
    buffer.set_stringn(area.x + 1, area.y, title, area.width.saturating_sub(1).into(), title_style);
    let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
    if below.height == 0 || rows.is_empty() {
        return;
    }
    let heads = pane.heads();
    let head = heads.iter().map(|head| cell(head.trim_start(), head.starts_with(' ')));
    let head = TableRow::new(head).style(Style::new().add_modifier(Modifier::DIM));
    let body = rows.iter().map(|row| {
        let cells = row.cells.iter().zip(heads);
        TableRow::new(cells.map(|(text, head)| cell(text, head.starts_with(' ')))).style(look.tone(row.tone))
    });
    let mark = if is_focus { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    let mut widths: Vec<_> = widths(heads, rows, most).into_iter().map(Constraint::Length).collect();
    if let Some(last) = widths.last_mut() {
        *last = Constraint::Fill(1);
    }
    let table = Table::new(body, widths).header(head).column_spacing(GAP).row_highlight_style(mark);
    let visible = usize::from(below.height).saturating_sub(1);
    let picked = top.picked(pane);
    let first = picked.unwrap_or(0).saturating_sub(visible / 2).min(rows.len().saturating_sub(visible));
    let mut state = TableState::new().with_offset(first).with_selected(picked);
    StatefulWidget::render(table, below, buffer, &mut state);
}

fn cell(text: &str, is_number: bool) -> Cell<'static> {
    let line = Line::raw(text.to_owned());
    Cell::from(if is_number { line.right_aligned() } else { line })
}

/// As wide as their texts, but for those of more than `most` columns.
fn widths(heads: &[&str], rows: &[Row], most: usize) -> Vec<u16> {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.cells.get(at)).map(|text| Span::raw(text).width());
        let widest = cells.chain([heads[at].trim_start().len()]).max().unwrap_or(0);
        u16::try_from(widest.min(most)).unwrap_or(u16::MAX)
    };
    (0..heads.len()).map(width).collect()
}

/// Before everything else, in the middle.
fn draw_box(title: &str, lines: &[String], look: Look, area: Rect, buffer: &mut Buffer) {
    let widest = lines.iter().map(|line| Span::raw(line).width()).chain([Span::raw(title).width()]).max();
    let wide = u16::try_from(widest.unwrap_or(0) + 4).unwrap_or(u16::MAX).min(area.width);
    let inner = usize::from(wide.saturating_sub(4)).max(1);
    let high: usize = lines.iter().map(|line| Span::raw(line).width().div_ceil(inner).max(1)).sum();
    // A line that is wrapped between words may take one more.
    let wrapped = lines.iter().filter(|line| Span::raw(line.as_str()).width() > inner).count();
    let high = u16::try_from(high + wrapped + 2).unwrap_or(u16::MAX).min(area.height);
    let place = Rect {
        x: area.x + (area.width - wide) / 2,
        y: area.y + (area.height - high) / 2,
        width: wide,
        height: high,
    };
    Clear.render(place, buffer);
    let title = Span::styled(format!(" {title} "), look.tone(Tone::Bad));
    let block = Block::bordered().title(title).padding(ratatui::widgets::Padding::horizontal(1));
    let text: Vec<Line<'_>> = lines.iter().map(|line| Line::raw(line.as_str())).collect();
    Paragraph::new(text).wrap(Wrap { trim: false }).block(block).render(place, buffer);
}

/// All of it as text, as high as it needs to be, and without a `width` as wide: then nothing is cut.
pub(crate) fn text(top: &Top, now_ms: u64, width: Option<u16>) -> String {
    let height = HEAD + FOOT + wanted(top).iter().sum::<u16>();
    let width = width.unwrap_or_else(|| {
        let row = |pane: Pane| {
            let widths = widths(pane.heads(), top.rows(pane), MAX_TEXT);
            widths.iter().sum::<u16>() + GAP * u16::try_from(widths.len()).unwrap_or(0)
        };
        Pane::ALL.into_iter().map(row).max().unwrap_or(0).max(LEAST_WIDE)
    });
    let area = Rect { x: 0, y: 0, width, height };
    let mut buffer = Buffer::empty(area);
    draw_cut(top, Look { has_colour: false }, now_ms, MAX_TEXT, area, &mut buffer);
    lines(&buffer).join("\n")
}

/// What stands in a buffer, line by line.
pub(crate) fn lines(buffer: &Buffer) -> Vec<String> {
    let area = buffer.area;
    let line = |row: u16| {
        let (mut text, mut column) = (String::new(), area.x);
        while column < area.right() {
            let symbol = buffer[(column, row)].symbol();
            text.push_str(symbol);
            // A wide letter stands before a cell that is not its own.
            column += u16::try_from(Span::raw(symbol).width()).unwrap_or(1).max(1);
        }
        text.trim_end().to_owned()
    };
    (area.y..area.bottom()).map(line).collect()
}

#[cfg(test)]
mod tests;
