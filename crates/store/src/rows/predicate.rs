//! Predicates as bytes, for deletes that must outlive the process.

use std::sync::Arc;

use model::{Field, Order, Predicate, Scalar, Test, TextMatch};

use crate::codec::{Reader, put_bytes, put_f64, put_varint, put_zigzag};

/// How deep a predicate may be nested; the same as where it is compiled.
const DEPTH_MAX: usize = 64;

const ORDERS: [Order; 5] =
    [Order::Equal, Order::Less, Order::LessOrEqual, Order::Greater, Order::GreaterOrEqual];

const MATCHES: [TextMatch; 6] = [
    TextMatch::Equals,
    TextMatch::Contains,
    TextMatch::Phrase,
    TextMatch::PhrasePrefix,
    TextMatch::StartsWith,
    TextMatch::Regex,
];

/// Appends a predicate.
pub(crate) fn put(out: &mut Vec<u8>, predicate: &Predicate) {
    match predicate {
        Predicate::All(parts) => put_parts(out, 0, parts),
        Predicate::Any(parts) => put_parts(out, 1, parts),
        Predicate::Not(part) => {
            out.push(2);
            put(out, part);
        }
        Predicate::Test(field, test) => {
            out.push(3);
            put_field(out, field);
            put_test(out, test);
        }
    }
}

/// Reads a predicate.
pub(crate) fn get(r: &mut Reader<'_>) -> Option<Predicate> {
    nested(r, DEPTH_MAX)
}

fn nested(r: &mut Reader<'_>, depth: usize) -> Option<Predicate> {
    let inner = depth.checked_sub(1)?;
    Some(match r.u8()? {
        0 => Predicate::All(parts(r, inner)?),
        1 => Predicate::Any(parts(r, inner)?),
        2 => Predicate::Not(Box::new(nested(r, inner)?)),
        3 => Predicate::Test(field(r)?, test(r)?),
        _ => return None,
    })
}

fn put_parts(out: &mut Vec<u8>, code: u8, parts: &[Predicate]) {
    out.push(code);
    put_varint(out, parts.len() as u64);
    parts.iter().for_each(|part| put(out, part));
}

fn parts(r: &mut Reader<'_>, depth: usize) -> Option<Vec<Predicate>> {
    (0..r.count()?).map(|_| nested(r, depth)).collect()
}

fn put_field(out: &mut Vec<u8>, field: &Field) {
    let (code, key) = match field {
        Field::Fixed(at) => {
            out.extend_from_slice(&[0, *at]);
            return;
        }
        Field::Key(key) => (1, key),
        Field::Record(key) => (2, key),
        Field::Resource(key) => (3, key),
    };
    out.push(code);
    put_bytes(out, key.as_bytes());
}

fn field(r: &mut Reader<'_>) -> Option<Field> {
    Some(match r.u8()? {
        0 => Field::Fixed(r.u8()?),
        1 => Field::Key(r.text()?.into()),
        2 => Field::Record(r.text()?.into()),
        3 => Field::Resource(r.text()?.into()),
        _ => return None,
    })
}

fn put_test(out: &mut Vec<u8>, test: &Test) {
    match test {
        Test::Exists => out.push(0),
        Test::Compare(order, scalar) => {
            out.extend_from_slice(&[1, code(&ORDERS, order)]);
            put_scalar(out, scalar);
        }
        Test::OneOf(scalars) => {
            out.push(2);
            put_varint(out, scalars.len() as u64);
            scalars.iter().for_each(|scalar| put_scalar(out, scalar));
        }
        Test::Text { how, text, ignore_case } => {
            out.extend_from_slice(&[3, code(&MATCHES, how), u8::from(*ignore_case)]);
            put_bytes(out, text.as_bytes());
        }
    }
}

fn test(r: &mut Reader<'_>) -> Option<Test> {
    Some(match r.u8()? {
        0 => Test::Exists,
        1 => Test::Compare(*ORDERS.get(usize::from(r.u8()?))?, scalar(r)?),
        2 => Test::OneOf((0..r.count()?).map(|_| scalar(r)).collect::<Option<_>>()?),
        3 => {
            let how = *MATCHES.get(usize::from(r.u8()?))?;
            let ignore_case = r.u8()? != 0;
            Test::Text { how, text: r.text()?.into(), ignore_case }
        }
        _ => return None,
    })
}

fn code<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter().position(|each| each == one).unwrap_or(0) as u8
}

fn put_scalar(out: &mut Vec<u8>, scalar: &Scalar) {
    match scalar {
        Scalar::Bool(value) => out.extend_from_slice(&[0, u8::from(*value)]),
        Scalar::Int(value) => {
            out.push(1);
            put_zigzag(out, *value);
        }
        Scalar::Double(value) => {
            out.push(2);
            put_f64(out, *value);
        }
        Scalar::Text(text) => {
            out.push(3);
            put_bytes(out, text.as_bytes());
        }
        Scalar::Bytes(bytes) => {
            out.push(4);
            put_bytes(out, bytes);
        }
    }
}

fn scalar(r: &mut Reader<'_>) -> Option<Scalar> {
    Some(match r.u8()? {
        0 => Scalar::Bool(r.u8()? != 0),
        1 => Scalar::Int(r.zigzag()?),
        2 => Scalar::Double(r.f64()?),
        3 => Scalar::Text(r.text()?.into()),
        4 => Scalar::Bytes(Arc::from(r.bytes()?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scalars() -> impl Strategy<Value = Scalar> {
        prop_oneof![
            any::<bool>().prop_map(Scalar::Bool),
            any::<i64>().prop_map(Scalar::Int),
            any::<f64>().prop_map(Scalar::Double),
            ".*".prop_map(|text| Scalar::Text(text.into())),
            any::<Vec<u8>>().prop_map(|bytes| Scalar::Bytes(bytes.into())),
        ]
    }

    fn predicates() -> impl Strategy<Value = Predicate> {
        let field = (0..4u8, ".*").prop_map(|(kind, key)| match kind {
            0 => Field::Fixed(key.len() as u8),
            1 => Field::Key(key.into()),
            2 => Field::Record(key.into()),
            _ => Field::Resource(key.into()),
        });
        let text = (0..MATCHES.len(), ".*", any::<bool>());
        let test = prop_oneof![
            Just(Test::Exists),
            (0..ORDERS.len(), scalars()).prop_map(|(order, scalar)| Test::Compare(ORDERS[order], scalar)),
            prop::collection::vec(scalars(), 0..4).prop_map(Test::OneOf),
            text.prop_map(|(how, text, ignore_case)| {
                Test::Text { how: MATCHES[how], text: text.into(), ignore_case }
            }),
        ];
        let leaf = (field, test).prop_map(|(field, test)| Predicate::Test(field, test));
        leaf.prop_recursive(4, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::All),
                prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::Any),
                inner.prop_map(|part| Predicate::Not(Box::new(part))),
            ]
        })
    }

    proptest! {
        #[test]
        fn predicates_round_trip(predicate in predicates()) {
            let mut out = Vec::new();
            put(&mut out, &predicate);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(get(&mut reader), Some(predicate));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = get(&mut Reader::new(&bytes));
        }
    }

    #[test]
    fn too_deep_a_predicate_is_none() {
        let mut bytes = vec![2; 100_000];
        bytes.extend_from_slice(&[0, 0]);
        assert_eq!(get(&mut Reader::new(&bytes)), None);
    }
}
