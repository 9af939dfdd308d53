//! Who is told what, and when: matchers, the routing tree, inhibition, silences, times of day, grouping.
//!
//! Every decision is that of Alertmanager, so that an `alertmanager.yml` means here what it means there; what we
//! add (severities, digests, steps up, bounds) is said where it is added. Nothing here asks a clock, a disk or a
//! database: times are arguments, milliseconds since the epoch, and what must survive a crash is a value with
//! serde that the caller stores.

mod alert; // what is routed
mod config; // alertmanager.yml
mod fingerprint; // names of label sets
mod go_regex; // Go's expressions
mod group; // the dispatcher
mod inhibit; // alerts that make others needless
mod interval; // times of day, week and year
mod matcher; // conditions on labels
mod period; // durations as people write them
mod silence; // told to be quiet
mod spec; // our own saved objects
mod tree; // routes

pub use alert::Alert;
pub use config::{
    AlertmanagerFile, BasicAuth, ConfigError, Credentials, DiscordConfig, EmailConfig, Global,
    GoogleChatConfig, HttpConfig, Integration, IntegrationKind, LoadOptions, MattermostConfig, MsTeamsConfig,
    MsTeamsV2Config, NtfyConfig, PagerdutyConfig, PagerdutyImage, PagerdutyLink, Receiver, Secret,
    SecretSource, SlackAction, SlackConfig, SlackConfirmation, SlackField, SmsConfig, TelegramConfig,
    TlsConfig, WebhookConfig,
};
pub use fingerprint::{fingerprint, label_text};
pub use group::{
    Added, Bounds, Counts, Decision, Digest, DigestWindow, Digests, Dispatcher, Flush, FlushAlert,
    GroupSnapshot, GroupView, Inserted, LogEntry, Notice, Reason, decide,
};
pub use inhibit::{Inhibited, Inhibition, Inhibitor};
pub use interval::{InvalidInterval, TimeInterval, TimeIntervalSpec, TimeRangeSpec, is_active, next_change};
pub use matcher::{InvalidMatcher, Matcher, Matchers};
pub use period::{InvalidPeriod, Period};
pub use silence::{Edited, Silence, SilenceDraft, SilenceError, SilenceMatches, SilenceState};
pub use spec::{
    InhibitSpec, NamedRoute, ObjectsSpec, RouteSpec, SeverityCondition, SeverityFloor, SpecError,
};
pub use tree::{GroupBy, Muted, Route, RouteOptions, Routing, Visit};
