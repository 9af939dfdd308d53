use super::*;

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().expect("a time").as_millisecond()
}

fn interval(yaml: &str) -> Result<TimeInterval, String> {
    let spec: TimeIntervalSpec = serde_yaml_ng::from_str(yaml).map_err(|e| e.to_string())?;
    TimeInterval::new(&spec).map_err(|e| e.to_string())
}

const OFFICE: &str = "{weekdays: ['monday:friday'], times: [{start_time: '09:00', end_time: '17:00'}]}";
const BERLIN: &str = "{times: [{start_time: '01:30', end_time: '02:30'}], location: Europe/Berlin}";

#[test]
fn moments_are_inside_or_not_as_alertmanager_says() {
    let rows = [
        ("{}", "2026-01-01T00:00:00Z", true),
        ("{times: []}", "2026-01-01T00:00:00Z", false),
        (OFFICE, "2026-03-02T09:00:00Z", true),
        (OFFICE, "2026-03-02T08:59:59Z", false),
        (OFFICE, "2026-03-02T16:59:59Z", true),
        (OFFICE, "2026-03-02T17:00:00Z", false),
        (OFFICE, "2026-03-01T12:00:00Z", false),
        ("{weekdays: [Saturday, SUNDAY]}", "2026-03-01T12:00:00Z", true),
        ("{times: [{start_time: '23:00', end_time: '24:00'}]}", "2026-03-01T23:59:59Z", true),
        ("{days_of_month: ['1:5']}", "2026-03-05T12:00:00Z", true),
        ("{days_of_month: ['1:5']}", "2026-03-06T12:00:00Z", false),
        ("{days_of_month: ['-3:-1']}", "2026-02-26T12:00:00Z", true),
        ("{days_of_month: ['-3:-1']}", "2026-02-25T12:00:00Z", false),
        ("{days_of_month: ['-3:-1']}", "2028-02-29T12:00:00Z", true),
        ("{days_of_month: ['31']}", "2026-02-28T12:00:00Z", false),
        ("{days_of_month: ['30:31']}", "2026-04-30T12:00:00Z", true),
        ("{days_of_month: ['27:-1']}", "2026-04-30T12:00:00Z", true),
        ("{months: ['january:march', '12']}", "2026-12-01T12:00:00Z", true),
        ("{months: ['january:march', '12']}", "2026-04-01T12:00:00Z", false),
        ("{years: ['2020:2022', '2026']}", "2026-04-01T12:00:00Z", true),
        ("{years: ['2020:2022']}", "2026-04-01T12:00:00Z", false),
        // The night of 29 March 2026 leaves out 02:00 to 03:00; the night of 25 October has it twice.
        (BERLIN, "2026-03-29T00:29:59Z", false),
        (BERLIN, "2026-03-29T00:30:00Z", true),
        (BERLIN, "2026-03-29T01:00:00Z", false),
        (BERLIN, "2026-10-24T23:30:00Z", true),
        (BERLIN, "2026-10-25T00:29:59Z", true),
        (BERLIN, "2026-10-25T00:30:00Z", false),
        (BERLIN, "2026-10-25T01:00:00Z", true),
        (BERLIN, "2026-10-25T01:30:00Z", false),
        ("{weekdays: [monday], location: Australia/Sydney}", "2026-03-01T13:30:00Z", true),
        ("{weekdays: [monday], location: UTC}", "2026-03-01T13:30:00Z", false),
    ];
    for (yaml, moment, want) in rows {
        assert_eq!(interval(yaml).expect(yaml).is_active(at(moment)), want, "{yaml} at {moment}");
    }
}

#[test]
fn the_next_change_is_told() {
    let rows = [
        (OFFICE, "2026-03-02T10:00:00Z", Some("2026-03-02T17:00:00Z")),
        (OFFICE, "2026-03-06T17:00:00Z", Some("2026-03-09T09:00:00Z")),
        (BERLIN, "2026-03-29T00:45:00Z", Some("2026-03-29T01:00:00Z")),
        (BERLIN, "2026-10-25T00:00:00Z", Some("2026-10-25T00:30:00Z")),
        (BERLIN, "2026-10-25T00:30:00Z", Some("2026-10-25T01:00:00Z")),
        (BERLIN, "2026-10-25T01:00:00Z", Some("2026-10-25T01:30:00Z")),
        ("{days_of_month: ['29'], months: [february]}", "2026-03-01T00:00:00Z", Some("2028-02-29T00:00:00Z")),
        ("{years: ['2020']}", "2026-03-01T00:00:00Z", None),
        ("{}", "2026-03-01T00:00:00Z", None),
    ];
    for (yaml, moment, want) in rows {
        let got = next_change(&[interval(yaml).expect(yaml)], at(moment));
        assert_eq!(got, want.map(at), "{yaml} after {moment}");
    }
    let two = [
        interval("{weekdays: [monday], location: Pacific/Auckland}").expect("valid"),
        interval("{weekdays: [monday], location: Pacific/Honolulu}").expect("valid"),
    ];
    // Monday ends in Auckland on the 2nd at 11:00 UTC, an hour after it began in Honolulu.
    assert_eq!(next_change(&two, at("2026-03-01T12:00:00Z")), Some(at("2026-03-03T10:00:00Z")));
}

#[test]
fn refusals_name_the_key() {
    let rows = [
        ("{weekdays: [funday]}", "weekdays: \"funday\" is not one of sunday to saturday"),
        ("{weekdays: ['friday:monday']}", "before its start"),
        ("{weekdays: ['1']}", "is not one of"),
        ("{days_of_month: ['0']}", "days_of_month"),
        ("{days_of_month: ['32']}", "days_of_month"),
        ("{days_of_month: ['-1:1']}", "must be negative"),
        ("{days_of_month: ['10:5']}", "always before"),
        ("{days_of_month: ['-1:-3']}", "always before"),
        ("{months: ['13']}", "months"),
        ("{months: ['may:april']}", "before its start"),
        ("{years: ['2022:2020']}", "years"),
        ("{times: [{start_time: '17:00', end_time: '09:00'}]}", "over midnight is written as two"),
        ("{times: [{start_time: '9:00', end_time: '10:00'}]}", "HH:MM"),
        ("{times: [{start_time: '09:00', end_time: '24:01'}]}", "HH:MM"),
        ("{times: [{start_time: '09:00'}]}", "must both"),
        ("{location: Mars/Olympus}", "is not a time zone"),
        ("{day: [monday]}", "unknown field"),
    ];
    for (yaml, want) in rows {
        let error = interval(yaml).expect_err(yaml);
        assert!(error.contains(want), "{yaml}: {error}");
    }
}
