//! What each call of the API needs: the one table.
//!
//! A client that lists what it may call makes no other calls. Whose logins a call may
//! touch is another question, which `logins` answers.

use std::collections::BTreeSet;

use crate::config::CallGroup;

/// A call of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::grpc) enum Call {
    CheckPhone,
    StartLogin,
    GetLogin,
    WaitLogin,
    WatchLogin,
    WatchLogins,
    ListLogins,
    ConfirmCode,
    TransferLogin,
    CompleteRedirect,
    CancelLogin,
    EraseLogin,
    CreateShopQr,
    ListShopQrs,
    DeleteShopQr,
    WatchCheckIns,
}

impl Call {
    /// The table: the call's name, and what a client must list to make it.
    const fn row(self) -> (&'static str, CallGroup) {
        match self {
            Self::CheckPhone => ("CheckPhone", CallGroup::Check),
            Self::StartLogin => ("StartLogin", CallGroup::Start),
            Self::GetLogin => ("GetLogin", CallGroup::Read),
            Self::WaitLogin => ("WaitLogin", CallGroup::Read),
            Self::WatchLogin => ("WatchLogin", CallGroup::Read),
            Self::WatchLogins => ("WatchLogins", CallGroup::WatchAll),
            Self::ListLogins => ("ListLogins", CallGroup::WatchAll),
            Self::ConfirmCode => ("ConfirmCode", CallGroup::Confirm),
            Self::TransferLogin => ("TransferLogin", CallGroup::Transfer),
            Self::CompleteRedirect => ("CompleteRedirect", CallGroup::Complete),
            Self::CancelLogin => ("CancelLogin", CallGroup::Cancel),
            Self::EraseLogin => ("EraseLogin", CallGroup::Erase),
            Self::CreateShopQr => ("CreateShopQr", CallGroup::ShopQrs),
            Self::ListShopQrs => ("ListShopQrs", CallGroup::ShopQrs),
            Self::DeleteShopQr => ("DeleteShopQr", CallGroup::ShopQrs),
            Self::WatchCheckIns => ("WatchCheckIns", CallGroup::CheckIns),
        }
    }

    /// As the API has it.
    pub(in crate::grpc) const fn name(self) -> &'static str {
        self.row().0
    }

    /// Whether a client may make it that lists `calls`, or nothing.
    pub(super) fn is_among(self, calls: Option<&BTreeSet<CallGroup>>) -> bool {
        calls.is_none_or(|calls| calls.contains(&self.row().1))
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::grpc::v1;

    const ALL: [Call; 16] = [
        Call::CheckPhone,
        Call::StartLogin,
        Call::GetLogin,
        Call::WaitLogin,
        Call::WatchLogin,
        Call::WatchLogins,
        Call::ListLogins,
        Call::ConfirmCode,
        Call::TransferLogin,
        Call::CompleteRedirect,
        Call::CancelLogin,
        Call::EraseLogin,
        Call::CreateShopQr,
        Call::ListShopQrs,
        Call::DeleteShopQr,
        Call::WatchCheckIns,
    ];

    /// SR2: no call of the service is without a row.
    #[test]
    fn each_call_of_the_service_has_a_row() {
        let descriptors = FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).unwrap();
        let services = descriptors.file.iter().flat_map(|file| &file.service);
        let served: BTreeSet<String> = services.flat_map(|service| &service.method).map(|m| m.name().into()).collect();
        let listed: BTreeSet<String> = ALL.iter().map(|call| call.name().to_owned()).collect();
        assert_eq!(served, listed);
        assert_eq!(listed.len(), ALL.len(), "no name twice");
    }

    #[test]
    fn what_is_not_listed_is_not_called() {
        let listed = BTreeSet::from([CallGroup::Read, CallGroup::Erase]);
        let may: Vec<_> = ALL.iter().filter(|call| call.is_among(Some(&listed))).map(|call| call.name()).collect();
        assert_eq!(may, ["GetLogin", "WaitLogin", "WatchLogin", "EraseLogin"]);
        assert!(ALL.iter().all(|call| call.is_among(None)));
    }
}
