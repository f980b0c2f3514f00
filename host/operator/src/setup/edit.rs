//! Changes in a configuration that leave everything else as the operator wrote it: comments, order, blanks.

use toml_edit::{DocumentMut, Item, Table, TomlError, Value};

/// A file under change.
pub(super) struct Edit {
    document: DocumentMut,
    /// What was changed, in words.
    pub(super) changes: Vec<String>,
}

impl Edit {
    /// Of a file's text.
    ///
    /// # Errors
    /// When it is no TOML.
    pub(super) fn of(text: &str) -> Result<Self, TomlError> {
        Ok(Self { document: text.parse()?, changes: Vec::new() })
    }

    /// Sets a key of a section, or of the top (`""`). What stands beside it stays: the comment behind too.
    pub(super) fn set(&mut self, section: &str, key: &str, value: impl Into<Value>) {
        let mut value: Value = value.into();
        let name = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
        let text = value.to_string().trim().to_owned();
        let change = match self.section(section).get_mut(key).and_then(Item::as_value_mut) {
            Some(there) if bare(there) == text => return,
            Some(there) => {
                let was = bare(there);
                *value.decor_mut() = there.decor().clone();
                *there = value;
                format!("{name} = {text} (was {was})")
            }
            None => {
                self.section(section).insert(key, Item::Value(value));
                format!("{name} = {text}")
            }
        };
        self.changes.push(change);
    }

    /// Takes a key away, if it is there.
    pub(super) fn remove(&mut self, section: &str, key: &str) {
        if self.section(section).remove(key).is_some() {
            self.changes.push(format!("{section}.{key} removed"));
        }
    }

    /// The whole text.
    pub(super) fn text(&self) -> String {
        self.document.to_string()
    }

    fn section(&mut self, name: &str) -> &mut dyn toml_edit::TableLike {
        let root = self.document.as_table_mut();
        if name.is_empty() {
            return root;
        }
        let section = root.entry(name).or_insert_with(|| Item::Table(Table::new()));
        if !section.is_table_like() {
            *section = Item::Table(Table::new());
        }
        section.as_table_like_mut().expect("it was made one")
    }
}

/// A value without what stands around it.
fn bare(value: &Value) -> String {
    let mut value = value.clone();
    value.decor_mut().clear();
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_wrote_stays() {
        let text = "# mine\nmode = \"paper\"   # for now\nlisten = \"x\"\n\n[broker]  # him\n\
                    # url = \"http://a\"\nname = \"sim\"\n\n[limits]\nposition_percent = 5 # tight\n";
        let check = |change: &dyn Fn(&mut Edit), expected: &[(&str, &str)], changes: usize| {
            let mut edit = Edit::of(text).expect("TOML");
            change(&mut edit);
            let expected = expected.iter().fold(text.to_owned(), |text, (old, new)| text.replace(old, new));
            assert_eq!(edit.text(), expected);
            assert_eq!(edit.changes.len(), changes, "{:?}", edit.changes);
        };
        check(&|edit| edit.set("", "mode", "paper"), &[], 0);
        check(&|edit| edit.set("", "mode", "live"), &[("\"paper\"", "\"live\"")], 1);
        check(&|edit| edit.set("broker", "name", "sim"), &[], 0);
        check(
            &|edit| edit.set("broker", "url", "http://b"),
            &[("name = \"sim\"\n", "name = \"sim\"\nurl = \"http://b\"\n")],
            1,
        );
        check(&|edit| edit.remove("broker", "url"), &[], 0);
        check(
            &|edit| edit.set("market_data", "canary", "SPY"),
            &[("tight\n", "tight\n\n[market_data]\ncanary = \"SPY\"\n")],
            1,
        );
    }
}
