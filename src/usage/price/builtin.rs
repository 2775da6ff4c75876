//! The built-in price table.

use std::sync::LazyLock;

use super::table::Table;

/// When the rows were last compared with their sources.
pub(super) const DATE: &str = "2026-11-25";

/// In the format of price files, each row with its source.
const ROWS: &str = include_str!("builtin.json");

pub(super) fn table() -> &'static Table {
    // A test checks that it parses. If it did not, models would be unpriced.
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| Table::parse(ROWS).map(|(table, _)| table).unwrap_or_default());
    &TABLE
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_builtin_row_is_valid_and_has_a_source() {
        let (_, problems) = Table::parse(ROWS).unwrap();
        assert_eq!(problems, Vec::<String>::new());
        let rows: BTreeMap<String, serde_json::Value> = serde_json::from_str(ROWS).unwrap();
        for (model, row) in rows {
            assert!(
                row["source"].as_str().is_some_and(|url| url.starts_with("https://")),
                "{model}"
            );
            assert!(row["litellm_provider"].is_string(), "{model}");
            assert!(row["input_cost_per_token"].is_number(), "{model}");
        }
    }
}
