//! YAML with places: each value knows its line and column, so that an error names them.
//!
//! For files that people write for other programs, read by the rules of those: a text may be written as any scalar,
//! keys do not repeat, `<<` merges. Only the first document of a file counts. Bounded in bytes, values and depth.

use std::collections::{BTreeMap, HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Largest file.
pub const BYTES_MAX: usize = 8 << 20;
/// Most values of a file, counted where aliases repeat them.
pub const VALUES_MAX: usize = 1_000_000;
/// Lists and maps within each other.
pub const DEPTH_MAX: usize = 40;

/// A place in a file; both count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Character within the line.
    pub column: u32,
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Place,
    /// What it is.
    pub content: Content,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Nothing is written, or `null`.
    Null,
    /// A text, number or truth value as written.
    Scalar(Text),
    /// Values in order.
    List(Vec<Node>),
    /// Values by key in their order.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key's place.
    pub at: Place,
    /// The key.
    pub key: String,
    /// Its value.
    pub value: Node,
}

/// A scalar's text with its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The text, unquoted and unfolded.
    pub value: String,
    /// Where it begins in the file.
    pub at: Place,
    /// Line of the file in which the text's own lines begin, where each of them is one of the file.
    lines_from: Option<u32>,
    /// Written without quotes, so that it may be a number.
    plain: bool,
}

impl Text {
    /// No text, for a value that is not written.
    pub fn none(at: Place) -> Self {
        Self { at, ..Self::default() }
    }

    /// The line of the file that a line of the text stands in, or that the text begins in.
    pub fn line_of(&self, line: u32) -> u32 {
        self.lines_from.map_or(self.at.line, |first| first + line.saturating_sub(1))
    }

    /// Whether it is written without quotes.
    pub fn is_plain(&self) -> bool {
        self.plain
    }
}

/// A text that is no YAML, or too much of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {message}", at.line, at.column)]
pub struct YamlError {
    /// Where.
    pub at: Place,
    /// What is wrong.
    pub message: String,
}

/// The first document of a text, and whether there are others. An empty text is null.
pub fn read(text: &str) -> Result<(Node, bool), YamlError> {
    if text.len() > BYTES_MAX {
        return fail(Place { line: 1, column: 1 }, format!("more than {BYTES_MAX} bytes; split the file"));
    }
    let mut parser = Parser::new_from_str(text);
    let mut reader = Reader { anchors: HashMap::new(), open: Vec::new(), root: None, values: 0 };
    let mut documents = 0;
    while let Some(event) = parser.next_event() {
        let (event, span) =
            event.map_err(|e| YamlError { at: place_of(*e.marker()), message: e.info().to_owned() })?;
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    break;
                }
            }
            Event::StreamEnd => break,
            event => reader.event(event, span)?,
        }
    }
    let null = Node { at: Place { line: 1, column: 1 }, content: Content::Null };
    Ok((reader.root.unwrap_or(null), documents > 1))
}

fn fail<T>(at: Place, message: String) -> Result<T, YamlError> {
    Err(YamlError { at, message })
}

fn place_of(marker: saphyr_parser::Marker) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: number(marker.line()), column: number(marker.col() + 1) }
}

/// A list or map whose end has not come yet.
struct Open {
    at: Place,
    anchor: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Text>, merged: Vec<Node> },
}

struct Reader {
    anchors: HashMap<usize, (Node, usize)>,
    open: Vec<Open>,
    root: Option<Node>,
    values: usize,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let at = place_of(span.start);
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.suffix == "str");
                let plain = style == ScalarStyle::Plain && !is_text;
                let content = if plain && matches!(&*value, "" | "~" | "null" | "Null" | "NULL") {
                    Content::Null
                } else {
                    // The place is that of the first line that is not blank.
                    let blank = value.len() - value.trim_start_matches('\n').len();
                    let blank = u32::try_from(blank).unwrap_or(u32::MAX);
                    let lines_from = (style == ScalarStyle::Literal).then(|| at.line.saturating_sub(blank));
                    Content::Scalar(Text { value: value.into_owned(), at, lines_from, plain })
                };
                self.finish(Node { at, content }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(Open { at, anchor, kind: Kind::List(Vec::new()) }),
            Event::MappingStart(anchor, _) => {
                let kind = Kind::Map { entries: Vec::new(), key: None, merged: Vec::new() };
                self.begin(Open { at, anchor, kind })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return fail(at, "an end without a beginning".to_owned());
                };
                let content = match open.kind {
                    Kind::List(items) => Content::List(items),
                    Kind::Map { entries, merged, .. } => Content::Map(merge(entries, merged)?),
                };
                self.finish(Node { at: open.at, content }, open.anchor)
            }
            Event::Alias(anchor) => {
                let Some((node, count)) = self.anchors.get(&anchor).cloned() else {
                    return fail(at, "an alias without its anchor".to_owned());
                };
                self.values += count;
                self.finish(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open) -> Result<(), YamlError> {
        if self.open.len() == DEPTH_MAX {
            return fail(open.at, format!("more than {DEPTH_MAX} lists and maps within each other"));
        }
        if let Some(Open { kind: Kind::Map { key: None, .. }, at, .. }) = self.open.last() {
            return fail(*at, "a key has to be a text".to_owned());
        }
        self.open.push(open);
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return fail(node.at, format!("more than {VALUES_MAX} values; split the file"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), count(&node)));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(Kind::List(items)) => items.push(node),
            Some(Kind::Map { entries, key, merged }) => match key.take() {
                None => match node.content {
                    Content::Scalar(text) => *key = Some(text),
                    Content::Null => {
                        *key =
                            Some(Text { value: String::new(), at: node.at, lines_from: None, plain: true });
                    }
                    _ => return fail(node.at, "a key has to be a text".to_owned()),
                },
                Some(key) if key.plain && key.value == "<<" => merged.push(node),
                Some(key) => entries.push(Entry { at: key.at, key: key.value, value: node }),
            },
        }
        Ok(())
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.content {
        Content::List(items) => items.iter().map(count).sum(),
        Content::Map(entries) => entries.iter().map(|entry| count(&entry.value)).sum(),
        Content::Null | Content::Scalar(_) => 0,
    }
}

/// Entries with those of `<<` behind them, as far as they have other keys.
fn merge(mut entries: Vec<Entry>, merged: Vec<Node>) -> Result<Vec<Entry>, YamlError> {
    let mut seen: BTreeMap<String, Place> = BTreeMap::new();
    for entry in &entries {
        if let Some(first) = seen.insert(entry.key.clone(), entry.at) {
            return fail(
                entry.at,
                format!("mapping key {:?} already defined at line {}", entry.key, first.line),
            );
        }
    }
    let sources = merged.into_iter().flat_map(|node| match node.content {
        Content::List(items) => items,
        content => vec![Node { at: node.at, content }],
    });
    for source in sources {
        let Content::Map(others) = source.content else {
            return fail(source.at, "map merge requires map or sequence of maps as the value".to_owned());
        };
        for other in others {
            if !seen.contains_key(&other.key) {
                seen.insert(other.key.clone(), other.at);
                entries.push(other);
            }
        }
    }
    Ok(entries)
}
