//! A shop's own QR codes: made, listed and removed at the provider.
//!
//! The gateway keeps no list of its own: a code's id says whose it is and where it
//! stands.

use super::{Caller, Error, Logins, Tenant};
use crate::audit::What;
use crate::provider::shop::{Shop, ShopError};
use crate::session::TerminalId;
use crate::shop_qr::{Category, Location, QrName, ShopQr, ShopQrId};

/// A caller's wish for a code.
#[derive(Clone, Debug)]
pub struct CreateShopQr {
    /// Where it stands.
    pub terminal: TerminalId,
    /// Which of several there.
    pub name: Option<QrName>,
    /// What the app says about the place.
    pub location: Location,
    /// What kind of place it is.
    pub category: Category,
    /// Pixels of pictures.
    pub image_size: u32,
}

/// A code as its tenant sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopQrView {
    /// As the provider has it.
    pub qr: ShopQr,
    /// Where it stands.
    pub terminal: TerminalId,
    /// Which of several there.
    pub name: Option<QrName>,
}

impl Logins {
    /// Makes a terminal's code, or gives it another description. Safe to repeat.
    ///
    /// # Errors
    /// When the provider does not, and why.
    pub async fn create_shop_qr(&self, caller: &Caller, wanted: CreateShopQr) -> Result<ShopQrView, Error> {
        let _place = self.call()?;
        let tenant = self.tenant(caller)?;
        let CreateShopQr { terminal, name, location, category, image_size } = wanted;
        let id = ShopQrId::of(&caller.tenant, &terminal, name.as_ref());
        let qr = shop(&tenant)?.put(&id, &location, category, image_size).await.map_err(at_shop)?;
        self.note_call(caller, Some(&terminal), What::ShopQrCreated);
        Ok(ShopQrView { qr, terminal, name })
    }

    /// The tenant's codes, by their ids; at most `size` after the one of that id, and
    /// whether there are more.
    ///
    /// # Errors
    /// When the provider does not say.
    pub async fn shop_qrs(
        &self,
        caller: &Caller,
        terminal: Option<&TerminalId>,
        after: Option<&ShopQrId>,
        size: usize,
        image_size: u32,
    ) -> Result<(Vec<ShopQrView>, bool), Error> {
        let _place = self.call()?;
        let tenant = self.tenant(caller)?;
        let mut all = shop(&tenant)?.list(image_size).await.map_err(at_shop)?;
        all.sort_by(|one, other| one.id.cmp(&other.id));
        let own = |qr: ShopQr| {
            let (at, name) = qr.id.place_in(&caller.tenant)?;
            Some(ShopQrView { qr, terminal: at, name })
        };
        let mut own = all
            .into_iter()
            .filter(|qr| after.is_none_or(|after| qr.id > *after))
            .filter_map(own)
            .filter(|view| terminal.is_none_or(|terminal| *terminal == view.terminal));
        let page: Vec<_> = own.by_ref().take(size).collect();
        Ok((page, own.next().is_some()))
    }

    /// Removes a code of the tenant.
    ///
    /// # Errors
    /// [`Error::ShopQrNotFound`], also for another tenant's.
    pub async fn delete_shop_qr(&self, caller: &Caller, id: &ShopQrId) -> Result<(), Error> {
        let _place = self.call()?;
        let tenant = self.tenant(caller)?;
        let (terminal, _) = id.place_in(&caller.tenant).ok_or(Error::ShopQrNotFound)?;
        shop(&tenant)?.delete(id).await.map_err(at_shop)?;
        self.note_call(caller, Some(&terminal), What::ShopQrDeleted);
        Ok(())
    }
}

pub(super) fn shop(tenant: &Tenant) -> Result<&dyn Shop, Error> {
    tenant.credential.provider().shop().ok_or(Error::ShopQrNotConfigured)
}

fn at_shop(error: ShopError) -> Error {
    match error {
        ShopError::NotFound => Error::ShopQrNotFound,
        other => provider_error(other),
    }
}

/// What any call at the provider's QR API may come to.
pub(super) fn provider_error(error: ShopError) -> Error {
    match error {
        ShopError::NotFound | ShopError::Refused => Error::ProviderRefused,
        ShopError::CredentialsRefused => Error::ProviderCredentialsRefused,
        ShopError::Busy { retry_after } => {
            Error::ProviderBusy { retry_after: retry_after.unwrap_or(super::start::PROVIDER_BUSY_DEFAULT) }
        }
        ShopError::Unavailable => Error::ProviderUnavailable,
    }
}
