//! The templates that notifications begin with, under the names that Alertmanager gives them: people's own files call
//! them. The texts are ours.

/// Files in the order in which they are read.
pub(super) const FILES: [(&str, &str); 3] = [
    ("common.tmpl", include_str!("defaults/common.tmpl")),
    ("channels.tmpl", include_str!("defaults/channels.tmpl")),
    ("email.tmpl", include_str!("defaults/email.tmpl")),
];
