//! Writes the synthetic news: a handful of articles a day, decided by the seed and the day alone.

use std::{collections::VecDeque, time::Duration};

use sandpit_types::{MarketTime, SessionDay, Symbol};

use crate::{data::Chance, listing, wire::market::Article};

/// Articles a day.
const ARTICLES_A_DAY: usize = 8;
/// The first ones come this long before the open.
const BEFORE_OPEN: Duration = Duration::from_secs(4 * 3_600);
/// The last ones this long after the close.
const AFTER_CLOSE: Duration = Duration::from_secs(3_600);

/// What happens, and what is said of it.
const STORIES: [(&str, &str); 8] = [
    ("Shares Move On Heavier Volume", "traded well above its usual volume"),
    ("Analyst Raises Price Target", "received a higher price target from an analyst"),
    ("Analyst Lowers Price Target", "received a lower price target from an analyst"),
    ("Names New Chief Financial Officer", "named a new chief financial officer"),
    ("To Present At Investor Conference", "will present at an investor conference next month"),
    ("Announces Share Repurchase", "announced that it will buy back shares"),
    ("Reaffirms Outlook For The Year", "left its outlook for the year as it was"),
    ("Among The Names To Watch Today", "is among the names that traders watch today"),
];
const AUTHORS: [&str; 4] = ["A. Sandoval", "B. Petrov", "C. Iyer", "Newsdesk"];

/// Writes day after day.
#[derive(Debug)]
pub(super) struct Writer {
    seed: u64,
    symbols: Vec<Symbol>,
    days: VecDeque<SessionDay>,
}

impl Writer {
    pub(super) fn new(seed: u64, symbols: &[Symbol], days: &[SessionDay]) -> Self {
        Self { seed, symbols: symbols.to_vec(), days: days.iter().copied().collect() }
    }

    /// The articles of the next day, in the order of time; `None` after the last day.
    pub(super) fn next_day(&mut self) -> Option<Vec<Article>> {
        let day = self.days.pop_front()?;
        if self.symbols.is_empty() {
            return Some(Vec::new());
        }
        let mut chance = Chance::new(self.seed, &format!("the news of {}", day.open));
        let mut articles: Vec<Article> =
            (0..ARTICLES_A_DAY).map(|_| self.article(day, &mut chance)).collect();
        articles.sort_by_key(|article| article.created_at);
        Some(articles)
    }

    fn article(&self, day: SessionDay, chance: &mut Chance) -> Article {
        let start = day.open - BEFORE_OPEN;
        let length = (day.close + AFTER_CLOSE).since(start).as_secs();
        let created = start + Duration::from_secs(pick(chance, length as usize) as u64);
        let symbol = &self.symbols[pick(chance, self.symbols.len())];
        let mut symbols = vec![symbol.clone()];
        let other = &self.symbols[pick(chance, self.symbols.len())];
        if chance.coin() && other != symbol {
            symbols.push(other.clone());
        }
        let name = match listing::find(symbol.as_str()).name {
            "" => symbol.as_str(),
            name => name,
        };
        let (title, story) = STORIES[pick(chance, STORIES.len())];
        let summary = format!("{name} ({symbol}) {story}.");
        // One in four has a headline only, as the broker's own news has.
        let content = match pick(chance, 4) {
            0 => String::new(),
            _ => format!("<p>{summary}</p><p>This article was made up by a simulator.</p>"),
        };
        let slug = MarketTime::as_millis(created);
        Article {
            id: 0,
            headline: format!("{name} {title}"),
            summary,
            author: AUTHORS[pick(chance, AUTHORS.len())].into(),
            created_at: created.into(),
            updated_at: created.into(),
            url: Some(format!("https://news.example/{symbol}/{slug}")),
            content,
            symbols,
            source: "benzinga".into(),
        }
    }
}

/// One of so many, evenly.
fn pick(chance: &mut Chance, count: usize) -> usize {
    ((chance.unit() * count as f64) as usize).min(count.saturating_sub(1))
}
