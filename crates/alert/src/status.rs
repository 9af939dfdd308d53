//! What the public sees: components and how they are, their days, incidents with what was told of them, and who asked
//! to be told.

mod bars; // days, up and down
mod public; // incidents as the public sees them
mod spec; // what people write
mod state; // how components are
mod subscription; // who asked to be told

pub use bars::{DAYS, Day, Downtime, days};
pub use public::{PublicIncident, PublicUpdate, public_incident};
pub use spec::{ComponentSpec, MaintenanceSpec, StatusPageSpec};
pub use state::{CheckSeen, CheckState, ComponentState, Page, ShownComponent};
pub use subscription::{Asked, Subscriber, Subscription, SubscriptionError, SubscriptionKind};

#[cfg(test)]
mod tests;
