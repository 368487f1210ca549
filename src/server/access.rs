//! Who may do what.

use super::keys::Kind;
use super::tokens::Token;

/// What a token allows; each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Get and list objects.
    Read,
    /// Add objects, and tidy up what pushing leaves; nothing that was pushed can be taken away.
    Write,
    /// Replace and remove every object.
    Admin,
}

/// What is to be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Read,
    Create,
    Replace,
    Remove,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Who {
    /// Somebody with a token.
    Token(Token),
    /// Anybody, where the server asks for no token, or none for reading.
    Anybody(Role),
}

impl Who {
    /// The name for the log.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Token(token) => &token.name,
            Self::Anybody(_) => "-",
        }
    }

    pub(super) const fn role(&self) -> Role {
        match self {
            Self::Token(token) => token.role,
            Self::Anybody(role) => *role,
        }
    }

    /// Whether there is anything to be done for them in a repository.
    pub(super) fn may_enter(&self, repository: &str) -> bool {
        match self {
            Self::Token(token) => token.covers(repository),
            Self::Anybody(_) => true,
        }
    }

    /// Whether they may see numbers about all repositories.
    pub(super) fn may_see_all(&self) -> bool {
        match self {
            Self::Token(token) => token.repositories.is_empty(),
            Self::Anybody(role) => *role == Role::Admin,
        }
    }
}

/// The role that an action needs.
pub(super) const fn needed(action: Action, kind: Kind) -> Role {
    match (action, kind) {
        (Action::Read, _) => Role::Read,
        // Only a collector says what is to go.
        (Action::Create, Kind::Tombstone) => Role::Admin,
        (Action::Create, _) => Role::Write,
        // What has its hash for a name is only replaced by the same bytes, which repairs it.
        (
            Action::Replace,
            Kind::Pack
            | Kind::Shard
            | Kind::Run
            | Kind::Records
            | Kind::Current
            | Kind::Ref
            | Kind::Lease
            // Which of these it is cannot be told; pushing has to replace some.
            | Kind::Sealed,
        ) => Role::Write,
        // Of a run, only if others say the same: see `content::is_covered`.
        (Action::Remove, Kind::Lease | Kind::Run) => Role::Write,
        (Action::Replace | Action::Remove, _) => Role::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_cannot_take_away_what_was_pushed() {
        for kind in [
            Kind::Pack,
            Kind::Shard,
            Kind::Records,
            Kind::Ref,
            Kind::Marker,
            Kind::Tombstone,
        ] {
            assert_eq!(needed(Action::Remove, kind), Role::Admin, "{kind:?}");
        }
        assert_eq!(needed(Action::Replace, Kind::Marker), Role::Admin);
        assert_eq!(needed(Action::Create, Kind::Marker), Role::Write);
        assert_eq!(needed(Action::Read, Kind::Tombstone), Role::Read);
        assert!(Role::Read < Role::Write && Role::Write < Role::Admin);
    }
}
