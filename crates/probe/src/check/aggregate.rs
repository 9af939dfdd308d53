//! Many states to one: of one check from several places, and of all checks together.

use kit::HealthState;
use serde::Serialize;

use super::result::CheckStatus;

/// What one check is, seen from several places: unhealthy once the quorum says so (more than half of all places when
/// there is none), healthy when it is not and somebody sees that, else unknown. A place that has not reported counts
/// as unknown.
pub fn by_quorum(
    seen: impl IntoIterator<Item = CheckStatus>,
    places: usize,
    quorum: Option<u32>,
) -> CheckStatus {
    let (mut healthy, mut unhealthy) = (0usize, 0usize);
    for status in seen {
        match status {
            CheckStatus::Healthy => healthy += 1,
            CheckStatus::Unhealthy => unhealthy += 1,
            CheckStatus::Unknown => {}
        }
    }
    let needed = quorum.map_or(places / 2 + 1, |quorum| quorum as usize).clamp(1, places.max(1));
    match (unhealthy >= needed, healthy > 0) {
        (true, _) => CheckStatus::Unhealthy,
        (false, true) => CheckStatus::Healthy,
        (false, false) => CheckStatus::Unknown,
    }
}

/// All checks together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overall {
    /// The verdict.
    pub status: HealthState,
    /// Checks that are healthy.
    pub healthy: usize,
    /// Checks that are not.
    pub unhealthy: usize,
    /// Checks of which nobody can tell.
    pub unknown: usize,
}

/// The whole of checks, each with whether it is critical: unhealthy when a critical one is; degraded when another one
/// is, or when nobody can tell of a critical one; unknown when nobody can tell of any; else healthy.
pub fn overall(checks: impl IntoIterator<Item = (bool, CheckStatus)>) -> Overall {
    let mut whole = Overall { status: HealthState::Unknown, healthy: 0, unhealthy: 0, unknown: 0 };
    let (mut critical_fails, mut critical_unknown) = (false, false);
    for (critical, status) in checks {
        match status {
            CheckStatus::Healthy => whole.healthy += 1,
            CheckStatus::Unhealthy => {
                whole.unhealthy += 1;
                critical_fails |= critical;
            }
            CheckStatus::Unknown => {
                whole.unknown += 1;
                critical_unknown |= critical;
            }
        }
    }
    whole.status = match (critical_fails, whole.unhealthy, whole.healthy) {
        (true, ..) => HealthState::Unhealthy,
        (false, 1.., _) => HealthState::Degraded,
        (false, 0, 0) => HealthState::Unknown,
        (false, 0, _) if critical_unknown => HealthState::Degraded,
        (false, 0, _) => HealthState::Healthy,
    };
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: CheckStatus = CheckStatus::Healthy;
    const U: CheckStatus = CheckStatus::Unhealthy;
    const X: CheckStatus = CheckStatus::Unknown;

    #[test]
    fn the_whole_is_as_bad_as_what_is_critical() {
        for (checks, want) in [
            (&[][..], HealthState::Unknown),
            (&[(true, H), (false, H)], HealthState::Healthy),
            (&[(true, H), (false, U)], HealthState::Degraded),
            (&[(true, U), (false, H)], HealthState::Unhealthy),
            (&[(true, U), (false, U), (true, X)], HealthState::Unhealthy),
            (&[(true, X), (false, X)], HealthState::Unknown),
            (&[(true, X), (false, H)], HealthState::Degraded),
            (&[(true, H), (false, X)], HealthState::Healthy),
            (&[(false, U)], HealthState::Degraded),
        ] {
            assert_eq!(overall(checks.iter().copied()).status, want, "{checks:?}");
        }
    }

    #[test]
    fn places_decide_by_quorum() {
        for (seen, places, quorum, want) in [
            (&[U][..], 1, None, U),
            (&[U, H, H], 3, None, H),
            (&[U, U, H], 3, None, U),
            (&[U, U, H], 3, Some(3), H),
            (&[U, H, H], 3, Some(1), U),
            (&[U, X, X], 3, None, X),
            (&[U], 3, None, X),
            (&[H], 3, None, H),
            (&[U, U], 4, None, X),
            (&[], 2, None, X),
            (&[U], 1, Some(9), U),
        ] {
            assert_eq!(
                by_quorum(seen.iter().copied(), places, quorum),
                want,
                "{seen:?} of {places}, {quorum:?}"
            );
        }
    }
}
