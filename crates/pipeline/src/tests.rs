//! Pipelines over rows.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{logs, show};

#[track_caller]
fn check(processors: Json, rows: &[&str], want: &[&str]) -> Counts {
    let pipeline = Pipeline::from_config(&json!({ "processors": processors })).expect("a pipeline");
    let mut records = logs(rows);
    let mut counts = Counts::default();
    pipeline.run(&mut records, &mut counts);
    assert_eq!(show(&records), want, "{processors}");
    counts
}

#[test]
fn processors_run_in_their_order() {
    let first = json!({"type":"set","field":"a","value":1});
    let second = json!({"type":"rename","from":"a","to":"b"});
    check(json!([first, second]), &["- \"x\""], &["- \"x\" b=1"]);
    check(json!([second, first]), &["- \"x\""], &["- \"x\" a=1"]);
}

#[test]
fn texts_are_parsed_into_attributes() {
    let counts = check(
        json!([{"type":"parse_json","remove_source":true},{"type":"rename","from":"msg","to":"body"}]),
        &[r#"- "{\"msg\":\"hi\",\"n\":1}" k="v""#, r#"- "plain""#, "- null"],
        &[r#"- "hi" k="v" n=1"#, r#"- "plain""#, "- null"],
    );
    assert_eq!((counts.processors[0].rows, counts.processors[0].failed), (3, 2));
    check(
        json!([{"type":"parse_logfmt","field":"line","prefix":"l."}]),
        &[r#"- "x" line="a=1 b=\"c d\"""#],
        &[r#"- "x" line="a=1 b=\"c d\"" l.a=1 l.b="c d""#],
    );
    check(
        json!([{"type":"parse_regex","pattern":"user=(?<user>\\w+)"}]),
        &[r#"- "user=me ok""#],
        &[r#"- "user=me ok" user="me""#],
    );
    check(
        json!([{"type":"parse_grok","pattern":"%{VERB:verb} %{NUMBER:ms:int}","patterns":{"VERB":"GET|PUT"}}]),
        &[r#"- "GET 12""#],
        &[r#"- "GET 12" verb="GET" ms=12"#],
    );
}

#[test]
fn fields_are_renamed_set_and_removed() {
    for (processor, row, want) in [
        (json!({"type":"rename","from":"a","to":"b"}), r#"- "x" a=1 b=2"#, r#"- "x" b=1"#),
        (
            json!({"type":"rename","from":"a","to":"b","overwrite":false}),
            r#"- "x" a=1 b=2"#,
            r#"- "x" a=1 b=2"#,
        ),
        (json!({"type":"rename","from":"none","to":"b"}), r#"- "x" b=2"#, r#"- "x" b=2"#),
        (json!({"type":"rename","from":"a","to":"attributes.a"}), r#"- "x" a=1"#, r#"- "x" a=1"#),
        (json!({"type":"rename","from":"a","to":"trace_id"}), r#"- "x" a="no id""#, r#"- "x" a="no id""#),
        (json!({"type":"rename","from":"body","to":"raw"}), r#"- "x""#, r#"- null raw="x""#),
        (json!({"type":"set","field":"a","value":{"b":1}}), r#"- "x""#, r#"- "x" a={"b":1}"#),
        (json!({"type":"set","field":"a","value":2,"overwrite":false}), r#"- "x" a=1"#, r#"- "x" a=1"#),
        (json!({"type":"set","field":"message","from":"a"}), r#"- "x" a=1"#, r#"- "1" a=1"#),
        (
            json!({"type":"set","field":"resource.env","value":"p"}),
            r#"- "x" | a=1"#,
            r#"- "x" | a=1 env="p""#,
        ),
        (
            json!({"type":"remove","fields":["a","resource.c"]}),
            r#"- "x" a=1 b=2 | c=3 d=4"#,
            r#"- "x" b=2 | d=4"#,
        ),
        (json!({"type":"truncate","field":"body","bytes":4}), r#"- "aéîo""#, r#"- "aé…""#),
        (json!({"type":"truncate","field":"body","bytes":6}), r#"- "aéîo""#, r#"- "aéîo""#),
    ] {
        check(json!([processor]), &[row], &[want]);
    }
}

#[test]
fn resources_are_changed_for_the_rows_that_are_meant() {
    let mut records = logs(&["INFO \"a\" | s=\"x\"", "WARN \"b\"", "INFO \"c\""]);
    for row in 1..3 {
        records.rows[row].resource = records.rows[0].resource;
    }
    let pipeline = Pipeline::from_config(&json!({"processors": [
        {"type":"set","field":"resource.s","value":"y","if":{"field":"level","value":"info"}}
    ]}));
    pipeline.expect("a pipeline").run(&mut records, &mut Counts::default());
    assert_eq!(show(&records), [r#"INFO "a" | s="y""#, r#"WARN "b" | s="x""#, r#"INFO "c" | s="y""#]);
    assert_eq!(records.rows[0].resource, records.rows[2].resource);
}

#[test]
fn severity_and_time_come_from_fields() {
    check(
        json!([{"type":"severity","field":"lvl"}]),
        &[r#"- "x" lvl="warning""#, r#"- "x" lvl=50"#, r#"INFO "x" lvl="loud""#, r#"INFO "x""#],
        &[r#"warning "x" lvl="warning""#, r#"ERROR "x" lvl=50"#, r#"INFO "x" lvl="loud""#, r#"INFO "x""#],
    );
    let pipeline = Pipeline::from_config(&json!({"processors": [{"type":"timestamp","field":"t"}]}));
    let mut records = logs(&[r#"- "x" t="1970-01-01T00:00:07Z""#, r#"- "x" t="soon""#]);
    let mut counts = Counts::default();
    pipeline.expect("a pipeline").run(&mut records, &mut counts);
    assert_eq!((records.time_ns(0), records.time_ns(1)), (7_000_000_000, 1_000_000_000));
    assert_eq!(counts.processors[0].failed, 1);
}

#[test]
fn rows_are_dropped_kept_and_sampled_and_counted() {
    let rows = ["DEBUG \"a\"", "INFO \"b\"", "ERROR \"c\""];
    let debug = json!({"field":"level","value":"debug"});
    let counts = check(json!([{"type":"drop","name":"no debug","if":debug}]), &rows, &rows[1..]);
    assert_eq!(
        counts.processors,
        [ProcessorCounts { name: "no debug".into(), rows: 1, dropped: 1, ..Default::default() }]
    );
    let counts = check(json!([{"type":"keep","if":debug}]), &rows, &rows[..1]);
    assert_eq!(counts.dropped(), 2);
    let counts = check(json!([{"type":"sample","rate":0,"keep_errors":true}]), &rows, &rows[2..]);
    assert_eq!((counts.sampled(), counts.dropped()), (2, 2));
    assert_eq!(counts.by_rule().into_iter().collect::<Vec<_>>(), [("sample", 2)]);
    let counts = check(json!([{"type":"sample","rate":0,"if":debug}]), &rows, &rows[1..]);
    assert_eq!((counts.sampled(), counts.processors[0].rows), (1, 1));
}

#[test]
fn redaction_reaches_rows_and_their_resources() {
    check(
        json!([{"type":"redact","presets":["email"],"replacement":"X"}]),
        &[r#"- "to a@b.example" k="c@d.example" | h="e@f.example""#],
        &[r#"- "to X" k="X" | h="X""#],
    );
}

#[test]
fn attributes_left_behind_are_put_away() {
    let sets: Vec<_> = (0..60).map(|i| json!({"type":"set","field":format!("k{i}"),"value":i})).collect();
    let pipeline = Pipeline::from_config(&json!({ "processors": sets })).expect("a pipeline");
    let row = format!("INFO \"x\" {}| r=1", (0..40).map(|i| format!("a{i}={i} ")).collect::<String>());
    let mut records = logs(&vec![row.as_str(); 200]);
    pipeline.run(&mut records, &mut Counts::default());
    assert!(records.attrs.len() <= 2 * 200 * 101 + UNUSED_ATTRS_MAX, "{}", records.attrs.len());
    for (row, line) in show(&records).iter().enumerate() {
        assert_eq!(records.attrs_of(row).len(), 100);
        assert!(
            line.starts_with("INFO \"x\" a0=0 a1=1 ") && line.ends_with(" k58=58 k59=59 | r=1"),
            "{line}"
        );
    }
}

#[test]
fn counts_add_up_over_runs() {
    let pipeline =
        Pipeline::from_config(&json!({"processors":[{"type":"drop","if":{"field":"level","value":"info"}}]}));
    let pipeline = pipeline.expect("a pipeline");
    let mut counts = Counts::default();
    for _ in 0..3 {
        pipeline.run(&mut logs(&["INFO \"a\"", "WARN \"b\""]), &mut counts);
    }
    assert_eq!(counts.dropped(), 3);
}

#[test]
fn complaints_name_path_value_and_remedy() {
    let many = vec![json!({"type":"redact"}); 65];
    for (processors, path, remedy) in [
        (json!({}), "processors", "is not a list"),
        (json!([3]), "processors[0]", "is not an object"),
        (json!([{}]), "processors[0].type", "is missing"),
        (json!([{"type":"magic"}]), "processors[0].type", "types are parse_json, parse_logfmt"),
        (json!([{"type":"drop"}]), "processors[0].if", "say which rows to drop"),
        (
            json!([{"type":"redact"},{"type":"parse_regex","pattern":"(?<a>"}]),
            "processors[1].pattern",
            "unclosed",
        ),
        (json!([{"type":"parse_grok","pattern":"%{NOPE:a}"}]), "processors[0].pattern", "not in the library"),
        (json!([{"type":"rename","from":"resource.a","to":"b"}]), "processors[0].from", "many rows share"),
        (json!([{"type":"set","field":"a"}]), "processors[0].value", "is missing"),
        (json!([{"type":"sample","rate":2}]), "processors[0].rate", "between 0 (none) and 1 (all)"),
        (json!([{"type":"truncate","field":"a","bytes":0}]), "processors[0].bytes", "above 0"),
        (json!([{"type":"timestamp","field":"a","format":"?"}]), "processors[0].format", "unix_ms"),
        (json!([{"type":"parse_json","prefix":"p".repeat(65)}]), "processors[0].prefix", "longer than 64"),
        (json!([{"type":"remove"}]), "processors[0].fields", "at least one"),
        (json!([{"type":"drop","if":{"field":"a","op":"~"}}]), "processors[0].if.op", "operators are"),
        (json!([{"type":"set","field":"a","value":1,"valeu":2}]), "processors[0]", "members are type, if, "),
        (json!(many), "processors", "the most is 64"),
    ] {
        let error = Pipeline::from_config(&json!({ "processors": processors })).expect_err("a complaint");
        assert_eq!(error.path, path, "{error}");
        assert!(error.remedy.contains(remedy), "{error}");
    }
}

proptest! {
    #[test]
    fn every_row_goes_on_or_is_counted(
        rows in proptest::collection::vec("(INFO|ERROR|-) \"[a-z =@.{}0-9]{0,20}\"( a=[1-9][0-9]{0,2})?( b=\"[a-z]{0,5}\")?( \\| r=1)?", 0..20)
    ) {
        static PIPELINE: LazyLock<Pipeline> = LazyLock::new(|| Pipeline::from_config(&json!({"processors": [
            {"type":"parse_logfmt","prefix":"p."},
            {"type":"rename","from":"a","to":"b"},
            {"type":"set","field":"resource.r","value":"x","if":{"field":"level","value":"error"}},
            {"type":"redact"},
            {"type":"drop","if":{"field":"a","op":"gt","value":500}},
            {"type":"sample","rate":0.5,"keep_errors":true},
            {"type":"truncate","field":"body","bytes":5},
            {"type":"keep","if":{"field":"body","op":"ne","value":"abc"}},
        ]})).expect("a pipeline"));
        let mut records = logs(&rows.iter().map(String::as_str).collect::<Vec<_>>());
        let mut counts = Counts::default();
        PIPELINE.run(&mut records, &mut counts);
        prop_assert_eq!(records.len() + counts.dropped(), rows.len());
        show(&records);
    }
}

#[test]
fn what_changes_rows_runs_without_what_takes_them_away() {
    let drop = json!({"type":"drop","if":{"field":"secret","op":"exists"}});
    let remove = json!({"type":"remove","field":"secret"});
    for (processors, drops) in [(json!([drop, remove]), true), (json!([remove]), false)] {
        let pipeline = Pipeline::from_config(&json!({ "processors": processors })).expect("a pipeline");
        assert_eq!(pipeline.drops(), drops);
        let mut records = logs(&["- \"x\" secret=1", "- \"y\""]);
        pipeline.run_changes(&mut records);
        assert_eq!(show(&records), ["- \"x\"", "- \"y\""]);
    }
}
