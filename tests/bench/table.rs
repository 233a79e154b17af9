//! Rows and columns for a terminal: numbers to the right, words to the left.

pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn of(head: &[&str]) -> Table {
        Table { head: head.iter().map(ToString::to_string).collect(), rows: vec![] }
    }
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().chain([&self.head]).filter_map(|r| r.get(column));
            cells.map(|c| c.chars().count()).max().unwrap_or_default()
        };
        let numeric = |cell: &str| cell.starts_with(|c: char| c.is_ascii_digit());
        for row in std::iter::once(&self.head).chain(&self.rows) {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let right = self.rows.iter().all(|r| r.get(column).is_none_or(|c| numeric(c) || c.is_empty()));
                let room = " ".repeat(width(column) - cell.chars().count());
                line.push_str(&if right { format!("{room}{cell}  ") } else { format!("{cell}{room}  ") });
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
