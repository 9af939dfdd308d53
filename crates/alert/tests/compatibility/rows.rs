//! Tables of cases in text files: a line `== name`, the input's lines, then `=> ` and the expected text's lines, or
//! `=! ` and the line of the error. A line that begins with `#` before the first case or a new one is a remark.

use std::path::PathBuf;

/// One case.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) input: String,
    /// The text, or the rest of the `=!` line.
    pub(crate) expected: Result<String, String>,
}

pub(crate) fn data(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

/// All cases of a file.
pub(crate) fn rows(file: &str) -> Vec<Row> {
    let text = std::fs::read_to_string(data(file)).expect(file);
    let mut rows = Vec::new();
    for part in format!("\n{}", text.strip_suffix('\n').unwrap_or(&text)).split("\n== ").skip(1) {
        let part = part.split("\n# ").next().unwrap_or(part);
        let (name, body) = part.split_once('\n').expect("a name and an input");
        let (input, expected) = if let Some((input, expected)) = body.split_once("\n=> ") {
            (input, Ok(expected.to_owned()))
        } else if let Some((input, line)) = body.split_once("\n=! ") {
            (input, Err(line.to_owned()))
        } else {
            panic!("{file}: {name} expects nothing");
        };
        rows.push(Row { name: name.to_owned(), input: input.to_owned(), expected });
    }
    assert!(!rows.is_empty(), "{file} has no cases");
    rows
}
