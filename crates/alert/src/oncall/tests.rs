//! Rows of schedules, and a strict reader of what calendars hold.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().expect("a moment").as_millisecond()
}

fn schedule(spec: Value) -> Schedule {
    Schedule::new(&serde_json::from_value(spec).expect("reads")).expect("good")
}

fn layer(people: &[&str], start: &str, rotation: Value, handover: Value) -> Value {
    let people: Vec<String> = people.iter().map(|who| format!("{who}@x")).collect();
    json!({"people": people, "start": start, "rotation": rotation, "handover": handover})
}

fn names(shifts: &[Shift]) -> Vec<(String, String)> {
    let show = |at: i64| Timestamp::from_millisecond(at).expect("in range").to_string();
    shifts.iter().map(|shift| (shift.person.replace("@x", ""), show(shift.from))).collect()
}

#[test]
fn turns_change_at_their_handover() {
    let weekly =
        layer(&["a", "b"], "2030-01-09", json!("weekly"), json!({"time": "09:00", "weekday": "monday"}));
    let daily = layer(&["a", "b", "c"], "2030-01-07T09:00", json!("daily"), json!({}));
    let three = layer(&["a", "b"], "2030-01-07T12:00", json!({"days": 3}), json!({"time": "13:00"}));
    let hours = layer(&["a", "b", "c"], "2030-01-07T00:00", json!({"hours": 8}), json!({"time": "06:00"}));
    let rows: [(&Value, &str, Option<&str>); 19] = [
        (&weekly, "2030-01-08T23:59:59Z", None),
        (&weekly, "2030-01-09T00:00:00Z", Some("a@x")),
        (&weekly, "2030-01-14T08:59:59Z", Some("a@x")),
        (&weekly, "2030-01-14T09:00:00Z", Some("b@x")),
        (&weekly, "2030-01-21T09:00:00Z", Some("a@x")),
        (&daily, "2030-01-07T08:59:59Z", None),
        (&daily, "2030-01-07T09:00:00Z", Some("a@x")),
        (&daily, "2030-01-08T09:00:00Z", Some("b@x")),
        (&daily, "2030-01-09T09:00:00Z", Some("c@x")),
        (&daily, "2030-01-10T08:59:59Z", Some("c@x")),
        (&three, "2030-01-07T12:00:00Z", Some("a@x")),
        (&three, "2030-01-09T12:59:59Z", Some("a@x")),
        (&three, "2030-01-09T13:00:00Z", Some("b@x")),
        (&three, "2030-01-12T13:00:00Z", Some("a@x")),
        // The turn that began at 22:00 the day before is the first person's.
        (&hours, "2030-01-07T00:00:00Z", Some("a@x")),
        (&hours, "2030-01-07T06:00:00Z", Some("b@x")),
        (&hours, "2030-01-07T14:00:00Z", Some("c@x")),
        (&hours, "2030-01-07T22:00:00Z", Some("a@x")),
        (&hours, "2030-01-08T05:59:59Z", Some("a@x")),
    ];
    for (layer, time, want) in rows {
        let schedule = schedule(json!({"layers": [layer]}));
        assert_eq!(schedule.who(at(time)).map(|duty| duty.person), want, "{layer} at {time}");
    }
}

#[test]
fn handovers_stay_at_their_time_of_day_when_clocks_are_set() {
    // (zone, handover, moments of handover)
    let rows = [
        ("Europe/Berlin", "09:00", ["2030-03-30T08:00:00Z", "2030-03-31T07:00:00Z", "2030-04-01T07:00:00Z"]),
        // 02:30 is left out on 31 March: turns change when clocks are set, at 03:00.
        ("Europe/Berlin", "02:30", ["2030-03-30T01:30:00Z", "2030-03-31T01:00:00Z", "2030-04-01T00:30:00Z"]),
        // 02:30 comes twice on 27 October: the first one counts.
        ("Europe/Berlin", "02:30", ["2030-10-26T00:30:00Z", "2030-10-27T00:30:00Z", "2030-10-28T01:30:00Z"]),
        (
            "America/New_York",
            "00:00",
            ["2030-03-09T05:00:00Z", "2030-03-10T05:00:00Z", "2030-03-11T04:00:00Z"],
        ),
        // Half an hour, in the south.
        (
            "Australia/Lord_Howe",
            "02:15",
            ["2030-10-04T15:45:00Z", "2030-10-05T15:30:00Z", "2030-10-06T15:15:00Z"],
        ),
        // 30 December 2011 was left out: its turn begins with the 31st.
        ("Pacific/Apia", "08:00", ["2011-12-29T18:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T18:00:00Z"]),
    ];
    for (zone, time, moments) in rows {
        let from = at(moments[0]);
        let layer = layer(&["a", "b", "c"], "2011-12-01", json!("daily"), json!({"time": time}));
        let schedule = schedule(json!({"time_zone": zone, "layers": [layer]}));
        let shifts = schedule.shifts(from, at(moments[2]) + 1);
        let begins: Vec<i64> = shifts.iter().map(|shift| shift.from).collect();
        assert_eq!(begins, moments.map(at), "{zone} {time}");
        for (shift, next) in shifts.iter().zip(shifts.iter().skip(1)) {
            assert_eq!(shift.until, next.from);
            let handover = schedule.next_handover(shift.from).expect("goes on");
            assert_eq!((handover.at, handover.to), (next.from, Some(next.person.clone())));
        }
    }
}

#[test]
fn turns_of_hours_follow_each_other_without_gaps_over_every_change_of_clocks() {
    for zone in ["Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe", "UTC"] {
        for hours in [1, 5, 7, 12] {
            let layer = layer(&["a", "b"], "2011-12-01", json!({"hours": hours}), Value::Null);
            let schedule = schedule(json!({"time_zone": zone, "layers": [layer]}));
            for day in [
                "2011-12-28T00:00:00Z",
                "2030-03-30T00:00:00Z",
                "2030-10-26T00:00:00Z",
                "2030-10-05T00:00:00Z",
            ] {
                let shifts = schedule.shifts(at(day), at(day) + 3 * 86_400_000);
                assert!(shifts.len() >= 5, "{zone} {hours}");
                for pair in shifts.windows(2) {
                    assert_eq!(pair[0].until, pair[1].from, "{zone} {hours} {day}");
                    assert!(pair[0].from < pair[0].until);
                }
                assert!(
                    shifts[0].from <= at(day) && shifts[shifts.len() - 1].until >= at(day) + 3 * 86_400_000
                );
            }
        }
    }
}

#[test]
fn later_layers_and_overrides_count_more() {
    let mut nights = layer(&["n"], "2030-01-01", json!("weekly"), Value::Null);
    nights["restrictions"] = json!([
        {"times": [{"start_time": "00:00", "end_time": "06:00"}, {"start_time": "22:00", "end_time": "24:00"}]}
    ]);
    let days = layer(&["d", "e"], "2030-01-01", json!("daily"), Value::Null);
    let schedule = schedule(json!({
        "time_zone": "Europe/Berlin",
        "layers": [days, nights],
        "overrides": [
            {"person": "o@x", "from": "2030-01-02T08:00", "until": "2030-01-02T20:00"},
            {"person": "p@x", "from": "2030-01-02T11:00:00Z", "until": "2030-01-02T13:00:00+01:00"},
        ],
    }));
    let shifts = schedule.shifts(at("2030-01-02T00:00:00+01:00"), at("2030-01-03T00:00:00+01:00"));
    let want = [
        // The night began the day before, though nobody asked for that day.
        ("n", "2030-01-01T21:00:00Z"),
        ("e", "2030-01-02T05:00:00Z"),
        ("o", "2030-01-02T07:00:00Z"),
        ("p", "2030-01-02T11:00:00Z"),
        ("o", "2030-01-02T12:00:00Z"),
        ("e", "2030-01-02T19:00:00Z"),
        ("n", "2030-01-02T21:00:00Z"),
    ];
    assert_eq!(names(&shifts), want.map(|(who, at)| (who.to_owned(), at.to_owned())));
    let source = |time| schedule.who(at(time)).map(|duty| duty.source);
    assert_eq!(source("2030-01-02T12:00:00+01:00"), Some(Source::Override(1)));
    assert_eq!(source("2030-01-02T21:00:00+01:00"), Some(Source::Layer(0)));
    assert_eq!(source("2030-01-02T23:00:00+01:00"), Some(Source::Layer(1)));
    let whole = schedule.shifts(0, i64::MAX);
    assert!(whole.len() <= SHIFTS_MAX);
}

#[test]
fn a_day_asked_for_shows_each_shift_from_its_true_beginning() {
    let layer = layer(&["a", "b"], "2030-01-07T09:00", json!("weekly"), Value::Null);
    let schedule = schedule(json!({"layers": [layer]}));
    let shifts = schedule.shifts(at("2030-01-15T00:00:00Z"), at("2030-01-16T00:00:00Z"));
    assert_eq!(shifts.len(), 1);
    assert_eq!((shifts[0].from, shifts[0].until), (at("2030-01-14T09:00:00Z"), at("2030-01-21T09:00:00Z")));
    let handover = schedule.next_handover(at("2030-01-01T00:00:00Z")).expect("begins");
    assert_eq!(
        (handover.at, handover.from, handover.to),
        (at("2030-01-07T09:00:00Z"), None, Some("a@x".into()))
    );
}

#[test]
fn a_schedule_that_cannot_be_is_refused_with_its_place() {
    let good = || layer(&["a"], "2030-01-07", json!("weekly"), json!({}));
    let with = |key: &str, value: Value| {
        let mut layer = good();
        layer[key] = value;
        json!({"layers": [layer]})
    };
    for (spec, field) in [
        (json!({"layers": []}), "layers"),
        (json!({"layers": [good()], "time_zone": "Mars/Olympus"}), "time_zone"),
        (with("people", json!([])), "layers[0].people"),
        (with("people", json!(["ann"])), "layers[0].people[0]"),
        (with("start", json!("tomorrow")), "layers[0].start"),
        (with("until", json!("2030-01-06")), "layers[0].until"),
        (with("rotation", json!({"hours": 0})), "layers[0].rotation"),
        (with("handover", json!({"time": "25:00"})), "layers[0].handover.time"),
        (with("handover", json!({"weekday": "moonday"})), "layers[0].handover.weekday"),
        (with("restrictions", json!([{"weekdays": ["noday"]}])), "layers[0].restrictions[0].weekdays"),
        (
            json!({"layers": [layer(&["a"], "2030-01-07", json!("daily"), json!({"weekday": "monday"}))]}),
            "layers[0].handover.weekday",
        ),
        (
            json!({"layers": [good()], "overrides": [{"person": "a@x", "from": "2030-01-02", "until": "2030-01-01"}]}),
            "overrides[0].until",
        ),
    ] {
        let read: ScheduleSpec = serde_json::from_value(spec.clone()).expect("reads");
        assert_eq!(Schedule::new(&read).expect_err("refused").field, field, "{spec}");
    }
    assert!(serde_json::from_value::<ScheduleSpec>(json!({"layers": [], "layer": []})).is_err());
}

/// Reads a calendar as RFC 5545 has it and nothing else: lines end in CRLF and have at most 75 octets, folded ones go
/// on behind a space, texts are unescaped, each event has what it must.
fn read(calendar: &str) -> Vec<BTreeMap<String, String>> {
    let body = calendar.strip_suffix("\r\n").expect("the last line ends");
    let mut lines: Vec<String> = Vec::new();
    for physical in body.split("\r\n") {
        assert!(physical.len() <= 75 && !physical.contains(['\r', '\n']), "{physical:?}");
        match physical.strip_prefix(' ') {
            Some(more) => lines.last_mut().expect("goes on").push_str(more),
            None => lines.push(physical.to_owned()),
        }
    }
    let unescape = |value: &str| {
        let mut out = String::new();
        let mut chars = value.chars();
        while let Some(c) = chars.next() {
            assert!(!matches!(c, ';' | ','), "bare in {value:?}");
            match c {
                '\\' => match chars.next().expect("something escaped") {
                    'n' | 'N' => out.push('\n'),
                    c @ ('\\' | ';' | ',') => out.push(c),
                    c => panic!("\\{c}"),
                },
                c => out.push(c),
            }
        }
        out
    };
    assert_eq!((lines[0].as_str(), lines[lines.len() - 1].as_str()), ("BEGIN:VCALENDAR", "END:VCALENDAR"));
    let mut events = Vec::new();
    let mut open: Option<BTreeMap<String, String>> = None;
    for line in &lines[1..lines.len() - 1] {
        let (name, value) = line.split_once(':').expect("a name and a value");
        match (name, value) {
            ("BEGIN", "VEVENT") => assert!(open.replace(BTreeMap::new()).is_none()),
            ("END", "VEVENT") => {
                let event = open.take().expect("began");
                for must in ["UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY"] {
                    assert!(event.contains_key(must), "{must}");
                }
                events.push(event);
            }
            _ => {
                if let Some(event) = open.as_mut() {
                    assert!(event.insert(name.to_owned(), unescape(value)).is_none(), "{name} twice");
                }
            }
        }
    }
    events
}

#[test]
fn a_calendar_is_read_by_a_strict_reader_and_its_uids_stay() {
    let odd = "Bereitschaft; Straße, \\ \"ü\" \u{1F6A8} und noch viel mehr Text, der über eine Zeile hinausgeht\nzwei";
    let layer = layer(&["a", "b"], "2030-01-07T09:00", json!("daily"), Value::Null);
    let schedule = schedule(json!({"time_zone": "Europe/Berlin", "layers": [layer]}));
    let text = |now: &str, person| {
        let shifts = schedule.shifts(at(now), at(now) + 7 * 86_400_000);
        calendar(Calendar { name: odd, schedules: &[(odd, &shifts)], person, at: at(now) })
    };
    let all = read(&text("2030-01-08T10:00:00Z", None));
    assert_eq!(all.len(), 8);
    assert_eq!(all[0]["SUMMARY"], format!("{odd}: b@x"));
    assert_eq!(
        (all[0]["DTSTART"].as_str(), all[0]["DTEND"].as_str()),
        ("20300108T080000Z", "20300109T080000Z")
    );
    assert_eq!(all[0]["DTSTAMP"], "20300108T100000Z");
    // Hours later, in the middle of a shift: the same shifts are the same events.
    let later = read(&text("2030-01-09T03:00:00Z", None));
    assert_eq!(later[0]["UID"], all[0]["UID"]);
    assert_eq!(later[1]["UID"], all[1]["UID"]);
    let mut uids: Vec<&str> = all.iter().map(|event| event["UID"].as_str()).collect();
    uids.sort_unstable();
    uids.dedup();
    assert_eq!(uids.len(), all.len());
    let mine = read(&text("2030-01-08T10:00:00Z", Some("a@x")));
    assert_eq!(mine.len(), 4);
    assert!(mine.iter().all(|event| event["SUMMARY"].ends_with("a@x")));
    if let Ok(path) = std::env::var("BELLWETHER_TEST_ICAL_OUT") {
        std::fs::write(path, text("2030-01-08T10:00:00Z", None)).expect("written");
    }
}
