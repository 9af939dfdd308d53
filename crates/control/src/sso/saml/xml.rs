//! XML as signatures see it: one bounded parser, and exclusive canonicalization of its tree.
//!
//! The whole of SAML reads this one tree: what is verified is a node, and what is read afterwards is that
//! node, so no second parser can see something else.

use roxmltree::{Document, Node, NodeId, ParsingOptions};

use crate::sso::error::SsoError;

/// Longest document. Responses with many groups are about 50 KB.
pub(crate) const BYTES_MAX: usize = 256 << 10;

/// Elements, texts and comments.
const NODES_MAX: u32 = 20_000;

/// Elements within one another. Canonicalization recurses as deep.
const DEPTH_MAX: usize = 64;

/// Attributes that hold an identifier in any of the vocabularies involved.
const ID_NAMES: [&str; 4] = ["ID", "Id", "id", "AssertionID"];

/// Parses a document. One with a document type, and so any with entities, is refused, as is one in which two
/// elements carry the same identifier.
pub(crate) fn parse<'input>(what: &'static str, text: &'input str) -> Result<Document<'input>, SsoError> {
    let refused = |message: String| SsoError::Refused { what, message };
    if text.len() > BYTES_MAX {
        return Err(refused(format!("has {} bytes; at most {BYTES_MAX} are read", text.len())));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options)
        .map_err(|error| refused(format!("is no XML we read: {error}")))?;
    let mut ids = Vec::new();
    for node in document.descendants().filter(Node::is_element) {
        if node.ancestors().count() > DEPTH_MAX {
            return Err(refused(format!("nests deeper than {DEPTH_MAX} elements")));
        }
        ids.extend(node.attributes().filter(|a| ID_NAMES.contains(&a.name())).map(|a| a.value()));
    }
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(refused("has two elements with the same ID".to_owned()));
    }
    Ok(document)
}

/// The child elements with this name.
pub(crate) fn children<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.has_tag_name((namespace, name)))
}

/// The only child element with this name; `None` when there is none or more than one.
pub(crate) fn only_child<'a, 'i: 'a>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> Option<Node<'a, 'i>> {
    let mut found = children(node, namespace, name);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The text of an element: all of it, so that a comment in the middle, which signatures do not cover, cannot
/// cut it short. `None` when there are elements within.
pub(crate) fn text(node: Node<'_, '_>) -> Option<String> {
    if node.children().any(|child| child.is_element()) {
        return None;
    }
    Some(node.children().filter(|child| child.is_text()).filter_map(|child| child.text()).collect())
}

/// Exclusive canonical XML 1.0 without comments of an element and what is in it, but for `left_out` (the
/// signature within). `inclusive` are the prefixes of `InclusiveNamespaces`, `#default` for the one without.
pub(crate) fn canonical(node: Node<'_, '_>, inclusive: &[&str], left_out: Option<NodeId>) -> String {
    let mut writer = Writer { out: String::new(), inclusive, left_out, declared: Vec::new() };
    writer.element(node);
    writer.out
}

struct Writer<'a> {
    out: String,
    inclusive: &'a [&'a str],
    left_out: Option<NodeId>,
    /// Prefix and namespace as written so far by the elements around; the last of a prefix counts. The
    /// empty prefix is the default namespace.
    declared: Vec<(&'a str, &'a str)>,
}

impl<'a> Writer<'a> {
    fn element<'i: 'a>(&mut self, node: Node<'a, 'i>) {
        let name = qualified_name(node);
        let outer = self.declared.len();
        self.out.push('<');
        self.out.push_str(name);
        self.declarations(node, name);
        self.attributes(node);
        self.out.push('>');
        for child in node.children() {
            if Some(child.id()) == self.left_out {
                continue;
            }
            if child.is_element() {
                self.element(child);
            } else if let Some(pi) = child.pi() {
                self.out.push_str("<?");
                self.out.push_str(pi.target);
                if let Some(value) = pi.value {
                    self.out.push(' ');
                    self.out.push_str(value);
                }
                self.out.push_str("?>");
            } else if child.is_text() {
                escape(&mut self.out, child.text().unwrap_or_default(), false);
            }
        }
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        self.declared.truncate(outer);
    }

    /// Declarations of the prefixes that this element uses, where they are not in effect already.
    fn declarations<'i: 'a>(&mut self, node: Node<'a, 'i>, name: &'a str) {
        let mut prefixes = vec![prefix(name)];
        let input = node.document().input_text();
        prefixes.extend(node.attributes().map(|a| prefix(&input[a.range_qname()])).filter(|p| !p.is_empty()));
        prefixes.extend(self.inclusive.iter().map(|p| if *p == "#default" { "" } else { p }));
        prefixes.sort_unstable();
        prefixes.dedup();
        for prefix in prefixes {
            let namespace = match prefix {
                "xml" => continue,
                "" => Some(node.lookup_namespace_uri(None).unwrap_or("")),
                prefix => node.lookup_namespace_uri(Some(prefix)),
            };
            let Some(namespace) = namespace else { continue };
            let declared = self.declared.iter().rev().find(|(p, _)| *p == prefix).map(|(_, uri)| *uri);
            // Without a declaration the default namespace is none.
            if declared.or((prefix.is_empty()).then_some("")) == Some(namespace) {
                continue;
            }
            self.out.push_str(" xmlns");
            if !prefix.is_empty() {
                self.out.push(':');
                self.out.push_str(prefix);
            }
            self.out.push_str("=\"");
            escape(&mut self.out, namespace, true);
            self.out.push('"');
            self.declared.push((prefix, namespace));
        }
    }

    fn attributes<'i: 'a>(&mut self, node: Node<'a, 'i>) {
        let mut attributes: Vec<_> = node.attributes().collect();
        attributes.sort_by_key(|a| (a.namespace().unwrap_or(""), a.name()));
        let input = node.document().input_text();
        for attribute in attributes {
            self.out.push(' ');
            self.out.push_str(&input[attribute.range_qname()]);
            self.out.push_str("=\"");
            escape(&mut self.out, attribute.value(), true);
            self.out.push('"');
        }
    }
}

/// An element's name as it stands in the text: the tree keeps namespaces but not prefixes.
fn qualified_name<'a>(node: Node<'a, '_>) -> &'a str {
    let rest = &node.document().input_text()[node.range().start + 1..];
    let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')).unwrap_or(rest.len());
    &rest[..end]
}

fn prefix(qualified: &str) -> &str {
    qualified.split_once(':').map_or("", |(prefix, _)| prefix)
}

fn escape(out: &mut String, text: &str, in_attribute: bool) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' if !in_attribute => out.push_str("&gt;"),
            '"' if in_attribute => out.push_str("&quot;"),
            '\t' if in_attribute => out.push_str("&#x9;"),
            '\n' if in_attribute => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            c => out.push(c),
        }
    }
}

/// A text or an attribute's value as XML writes it.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(&mut out, text, true);
    out.replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(xml: &str, name: &str, inclusive: &[&str], want: &str) {
        let document = parse("test", xml).unwrap();
        let node = document.descendants().find(|node| node.tag_name().name() == name).unwrap();
        assert_eq!(canonical(node, inclusive, None), want);
    }

    #[test]
    fn the_examples_of_the_recommendation_come_out_as_it_says() {
        // Exclusive XML Canonicalization 1.0, section 2.2.
        let one = r#"<n0:local xmlns:n0="foo:bar" xmlns:n3="ftp://example.org"><n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"/></n1:elem2></n0:local>"#;
        let want = r#"<n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2>"#;
        check(one, "elem2", &[], want);
        let two = r#"<n2:pdu xmlns:n1="http://example.com" xmlns:n2="http://foo.example" xml:lang="fr" xml:space="retain"><n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"/></n1:elem2></n2:pdu>"#;
        check(two, "elem2", &[], want);
    }

    #[test]
    fn namespaces_are_declared_where_they_are_used() {
        for (xml, name, inclusive, want) in [
            (r#"<a xmlns="u" xmlns:p="q"><b/></a>"#, "b", &[][..], r#"<b xmlns="u"></b>"#),
            (r#"<a xmlns="u" xmlns:p="q"><b/></a>"#, "b", &["p"], r#"<b xmlns="u" xmlns:p="q"></b>"#),
            (r#"<p:a xmlns="u" xmlns:p="q"/>"#, "a", &["#default"], r#"<p:a xmlns="u" xmlns:p="q"></p:a>"#),
            (r#"<p:a xmlns="u" xmlns:p="q"/>"#, "a", &["none"], r#"<p:a xmlns:p="q"></p:a>"#),
            (
                r#"<a xmlns="u"><b xmlns=""><c/></b></a>"#,
                "a",
                &[],
                r#"<a xmlns="u"><b xmlns=""><c></c></b></a>"#,
            ),
            (r#"<a><b xmlns=""/></a>"#, "a", &[], "<a><b></b></a>"),
            (
                r#"<p:a xmlns:p="q"><p:b/><c xmlns:p="r"><p:d/></c><p:e/></p:a>"#,
                "a",
                &[],
                r#"<p:a xmlns:p="q"><p:b></p:b><c><p:d xmlns:p="r"></p:d></c><p:e></p:e></p:a>"#,
            ),
            (
                r#"<a xmlns:p="q" xmlns:r="q"><b p:x="1" r:y="2"/></a>"#,
                "b",
                &[],
                r#"<b xmlns:p="q" xmlns:r="q" p:x="1" r:y="2"></b>"#,
            ),
        ] {
            check(xml, name, inclusive, want);
        }
    }

    #[test]
    fn attributes_texts_and_comments_have_one_form() {
        for (xml, want) in [
            ("<a  c='3'\n b = \"2\" />", r#"<a b="2" c="3"></a>"#),
            (
                r#"<a xmlns:z="1" xmlns:y="2" z:b="x" y:a="x" c="x"/>"#,
                r#"<a xmlns:y="2" xmlns:z="1" c="x" z:b="x" y:a="x"></a>"#,
            ),
            ("<a>x<!-- gone -->y<?pi  v ?><![CDATA[<&>]]></a>", "<a>xy<?pi v ?>&lt;&amp;&gt;</a>"),
            (
                "<a b='&quot;&lt;&amp;&#9;&#10;&#13;>'>&#13;\r\n\"</a>",
                "<a b=\"&quot;&lt;&amp;&#x9;&#xA;&#xD;>\">&#xD;\n\"</a>",
            ),
            ("<a b='x\ty\nz'/>", r#"<a b="x y z"></a>"#),
        ] {
            check(xml, "a", &[], want);
        }
    }

    #[test]
    fn documents_that_could_mean_two_things_are_refused() {
        let deep = format!("{}{}", "<a>".repeat(65), "</a>".repeat(65));
        let large = format!("<a>{}</a>", "x".repeat(BYTES_MAX));
        for (xml, want) in [
            ("<!DOCTYPE a><a/>", "is no XML we read"),
            ("<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", "is no XML we read"),
            ("<a>&e;</a>", "is no XML we read"),
            ("<a ID='1'><b ID='1'/></a>", "two elements with the same ID"),
            ("<a ID='1'><b Id='1'/></a>", "two elements with the same ID"),
            (deep.as_str(), "nests deeper than 64"),
            (large.as_str(), "at most 262144 are read"),
            ("", "is no XML we read"),
        ] {
            let error = parse("response", xml).map(drop).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn a_comment_does_not_cut_a_text_short() {
        let document = parse("test", "<a>admin@example.com<!-- -->.evil.test</a>").unwrap();
        assert_eq!(text(document.root_element()).unwrap(), "admin@example.com.evil.test");
        assert_eq!(text(parse("test", "<a>x<b/></a>").unwrap().root_element()), None);
    }
}
