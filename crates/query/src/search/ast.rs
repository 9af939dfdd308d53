//! What a search says, before anything is known of the fields it names.

/// A condition. Lists have two members at least, and no member of their own kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    /// `*`
    Everything,
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    /// A word or phrase of the message, and where it stands.
    Words(Value, At),
    Field(Name, FieldTest),
}

/// A position in the text. Any two are equal, so that expressions compare by what they say.
#[derive(Clone, Copy, Debug)]
pub(super) struct At(pub(super) usize);

impl PartialEq for At {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Expr {
    pub(super) fn all(parts: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::All(inner) => flat.extend(inner),
                Self::Everything => {}
                other => flat.push(other),
            }
        }
        if flat.len() > 1 { Self::All(flat) } else { flat.pop().unwrap_or(Self::Everything) }
    }

    pub(super) fn any(parts: Vec<Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::Any(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() > 1 { Self::Any(flat) } else { flat.pop().unwrap_or(Self::Everything) }
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }
}

/// How a field was named.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) scope: Scope,
    pub(super) key: String,
    /// Where it stands; of no meaning.
    pub(super) at: usize,
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        (self.scope, &self.key) == (other.scope, &other.key)
    }
}

/// Where a name is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Among our names first, then among attributes.
    Word,
    /// Among attributes alone: it was quoted.
    Key,
    /// Among the record's attributes.
    Record,
    /// Among the resource's attributes.
    Resource,
}

/// What is asked of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FieldTest {
    Is(Value),
    /// `:=value`, the whole value.
    Exactly(Value),
    Order(model::Order, Value),
    Regex(String),
    Range {
        low: Option<Value>,
        low_inside: bool,
        high: Option<Value>,
        high_inside: bool,
    },
}

/// A value as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Without quotes; its texts, between which stars stood. At least one; neighbouring stars are one.
    Word(Vec<String>),
    /// In quotes, perhaps with a star behind.
    Quoted { text: String, prefix: bool },
}
